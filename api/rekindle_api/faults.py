"""Places at which a process can be told to die, so that tests prove that a second try is safe.

REKINDLE_FAULT_POINT names one place, optionally with the number of the visit, as in `upload.stored:2`; the process
kills itself there as SIGKILL would. Production refuses to start with it.
"""

import os
import signal
from collections import Counter

FAULT_VARIABLE = "REKINDLE_FAULT_POINT"
_visits: Counter[str] = Counter()


def reached(place: str) -> None:
    """Die here when the environment says so; do nothing otherwise."""
    wanted, _, visit = os.environ.get(FAULT_VARIABLE, "").partition(":")
    if wanted != place:
        return
    _visits[place] += 1
    if _visits[place] == int(visit or 1):
        os.kill(os.getpid(), signal.SIGKILL)
