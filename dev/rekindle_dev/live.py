"""Runs a program from a copy of its source that can be changed, and starts it again when a file of the copy is.

For `skaffold dev`, which copies changed files into running containers. It is put into images that hold the packages of
one program only, so it imports nothing but Python's own.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LOOK_SECONDS = 0.5
_END_SECONDS = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the program ends by itself or SIGTERM; return its exit status."""
    options = _parser().parse_args(arguments)
    copy_once(options.source, options.copy)
    return _Run(options.command, options.copy).to_the_end()


def copy_once(source: Path, copy: Path) -> None:
    """Copy the packages `rekindle_*` of `source`, unless that was done: a container that starts again keeps changes."""
    if copy.exists():
        return
    fresh = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for package in source.glob("rekindle_*"):
        if (package / "__init__.py").is_file():
            shutil.copytree(package, fresh / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    fresh.rename(copy)


class _Run:
    def __init__(self, command: Sequence[str], source: Path) -> None:
        self._command = command
        self._source = source
        self._environment = {**os.environ, "PYTHONPATH": str(source)}
        self._told_to_end = False

    def to_the_end(self) -> int:
        seen = _times(self._source)
        self._program = subprocess.Popen(self._command, env=self._environment)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        changed = False
        while True:
            status = self._status_after_a_while()
            # With a mistake in what was changed it waits for the next change; before that, its end is ours.
            if status is not None and (self._told_to_end or status == 0 or not changed):
                return status
            if (now := _times(self._source)) != seen and not self._told_to_end:
                seen, changed = now, True
                self._start_again()

    def _status_after_a_while(self) -> int | None:
        if self._program.poll() is not None:
            # It waits for a change.
            time.sleep(_LOOK_SECONDS)
        try:
            return self._program.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _start_again(self) -> None:
        print("live: source changed, starting again", file=sys.stderr, flush=True)
        self._program.terminate()
        try:
            self._program.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
        if not self._told_to_end:
            self._program = subprocess.Popen(self._command, env=self._environment)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._told_to_end = True
        self._program.send_signal(number)


def _times(folder: Path) -> dict[str, int]:
    """Return when each file of the source was changed, in nanoseconds."""
    times = {}
    for file in folder.rglob("*.py"):
        # One that is just being replaced is seen the next time.
        with suppress(FileNotFoundError):
            times[str(file)] = file.stat().st_mtime_ns
    return times


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run a program, and start it again when its source changes.")
    parser.add_argument("--source", type=Path, required=True, help="folder that the packages are installed in")
    parser.add_argument("--copy", type=Path, required=True, help="where the copy goes that is run and watched")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program and its arguments")
    return parser


if __name__ == "__main__":
    sys.exit(main())
