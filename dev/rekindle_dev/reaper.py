"""Kills the process groups of children whose parent died. Run as a script; standard library only.

Reads `+ID` and `-ID` lines from standard input: process groups that run, and that have ended. When the input ends, the
parent is gone, however it went; what still runs gets a moment for its own way out and is then killed. The guard ends a
child at once; this is for the children's children.
"""

import os
import signal
import sys
import time
from contextlib import suppress

_MOMENT_SECONDS = 1.0


def main() -> None:
    """Do as the module's docstring says."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    if groups:
        time.sleep(_MOMENT_SECONDS)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
