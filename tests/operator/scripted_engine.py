"""An engine that does what its arguments say, one word after another; run by the process node."""

import json
import os
import signal
import sys
import time
from pathlib import Path

TASK, UID = json.loads(os.environ["REKINDLE_TASK"]), os.environ["REKINDLE_POD_UID"]
LOG = Path(os.environ["REKINDLE_TERMINATION_LOG"])
EATEN: list[bytes] = []


def result(prefix):
    output = {
        "name": "Result",
        "key": f"{prefix}/{UID}/result.jpg",
        "sha256": "0" * 64,
        "bytes": 9,
        "width": 3,
        "height": 3,
        "mediaType": "image/jpeg",
    }
    return {
        "outputs": [output],
        "manifestKey": f"{prefix}/manifest.json",
        "sourcePixels": 9,
        "processingMilliseconds": 1,
        "provenance": {"engine": TASK["engine"], "version": "script 1"},
    }


def stop(*_):
    LOG.write_text(json.dumps({"reason": "Terminated", "message": "asked to stop", "logTail": ["stopping well"]}))
    sys.exit(20)


def fail_once(rest):
    marker, _, code = rest.rpartition(":")
    if not Path(marker).exists():
        Path(marker).touch()
        sys.exit(int(code))


def progress(rest):
    stage, _, percent = rest.partition(":")
    print(json.dumps({"stage": stage, "percent": int(percent)}), flush=True)


def wait(path):
    while not Path(path).exists():
        time.sleep(0.02)


def complete(prefix):
    told = {"reason": "Completed", "result": result(prefix or TASK["output"]["prefix"])}
    LOG.write_text(json.dumps(told))


def eat(mebibytes):
    EATEN.append(b"x" * (int(mebibytes) << 20))
    time.sleep(60)


def note(path):
    with Path(path).open("a") as file:
        file.write(TASK["name"] + "\n")


VERBS = {
    "print": lambda rest: print(rest, flush=True),
    "progress": progress,
    "wait": wait,
    "wait-turn": lambda folder: wait(f"{folder}/{TASK['name']}"),
    "note": note,
    "eat": eat,
    "fail-once": fail_once,
    "graceful": lambda _: signal.signal(signal.SIGTERM, stop),
    "tell": LOG.write_text,
    "complete": complete,
    "exit": lambda rest: sys.exit(int(rest)),
}

for word in sys.argv[1:]:
    verb, _, rest = word.partition("=")
    VERBS[verb](rest)
