"""An engine that does nothing but keep the contract of docs/engines.md, for idle pods of the process node.

The environment of its container says how: IDLE_SECONDS until it ends, IDLE_EXIT_CODE with which it does, and
IDLE_FAILURES, the share in percent of pods that end so; the others succeed.
"""

import json
import zlib
from collections.abc import Mapping

from rekindle_crds import ExitCode, Output, OutputName, Provenance, Result, Task, TerminationMessage
from rekindle_crds.exits import reason_of
from rekindle_crds.task import MANIFEST_NAME, POD_UID_VARIABLE, TASK_VARIABLE
from rekindle_dev.node.scripts import Life

_STAGES = ("Decoding", "Denoising", "Colouring", "Encoding")


def play(environment: Mapping[str, str]) -> Life:
    """Return the life of a container that seems to work on its task."""
    seconds, code = float(environment.get("IDLE_SECONDS", "1")), int(environment.get("IDLE_EXIT_CODE", "0"))
    uid = environment[POD_UID_VARIABLE]
    if zlib.crc32(uid.encode()) % 100 >= int(environment.get("IDLE_FAILURES", "100")):
        code = ExitCode.DONE
    told = TerminationMessage(reason=reason_of(code), message="" if code == 0 else "as the environment says")
    if code == ExitCode.DONE:
        told = told.model_copy(update={"result": _result(environment, uid, seconds)})
    return Life(seconds, lambda elapsed: _log(elapsed, seconds), code, told.model_dump_json(by_alias=True))


def _result(environment: Mapping[str, str], uid: str, seconds: float) -> Result:
    task = Task.model_validate_json(environment[TASK_VARIABLE])
    prefix = task.output.prefix
    output = Output(
        name=OutputName.RESULT,
        key=f"{prefix}/{uid}/result.jpg",
        sha256="0" * 64,
        bytes=1,
        width=1,
        height=1,
        media_type="image/jpeg",
    )
    return Result(
        outputs=[output],
        manifest_key=f"{prefix}/{MANIFEST_NAME}",
        provenance=Provenance(engine=task.engine, version="idle 1"),
        source_pixels=1,
        processing_milliseconds=round(1000 * seconds),
    )


def _log(elapsed: float, seconds: float) -> str:
    percent = min(99, int(100 * elapsed / seconds)) if seconds > 0 else 99
    stage = _STAGES[percent * len(_STAGES) // 100]
    return f"idle\n{json.dumps({'stage': stage, 'percent': percent})}\n"
