"""How many threads make sense here: the affinity of the process and the CPU limit of its control group."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MOST = 8


def available_processors(cgroup: Path = _CGROUP) -> int:
    """Return how many processors this process may use at once, from 1 to 8.

    A pod's CPU limit does not show in os.cpu_count(); a thread per processor of a large node would only be throttled,
    and every thread holds tiles in memory.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup / "cpu.max") or _quota_v1(cgroup / "cpu")
    if quota is not None:
        allowed = min(allowed, math.ceil(quota))
    return max(1, min(_MOST, allowed))


def _quota_v2(path: Path) -> float | None:
    try:
        limit, period = path.read_text(encoding="ascii").split()
        return int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        limit = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return limit / period if limit > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
