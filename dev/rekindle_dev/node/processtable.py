"""The process table: who descends from whom, how much memory that uses, and the end of all that carries a mark."""

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARKER = "REKINDLE_NODE_CONTAINER"
"""Environment variable that each process of a container inherits: `<node instance>/<container id>`."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Entry:
    """One line of the process table."""

    pid: int
    parent: int
    session: int
    resident: int
    """Bytes in memory, shared pages included."""


def table() -> dict[int, Entry]:
    """Return all processes that can be seen now, by process id."""
    found = {}
    for pid in _pids():
        # A process may end between the listing and the reading.
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            fields = stat[stat.rindex(b")") + 2 :].split()
            found[pid] = Entry(pid, int(fields[1]), int(fields[3]), int(fields[21]) * _PAGE)
    return found


def tree(processes: Mapping[int, Entry], root: int) -> list[Entry]:
    """Return those that descend from the root or share its session, the root included."""
    members = {root}
    grown = True
    while grown:
        more = {e.pid for e in processes.values() if e.parent in members or e.session == root} - members
        grown = bool(more)
        members |= more
    return [processes[pid] for pid in members if pid in processes]


def unshared_memory(pids: Sequence[int]) -> int:
    """Return the bytes of memory that are the processes' own, a page that several share counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    return total


def kill_marked(prefix: str) -> int:
    """Kill every process whose marker starts with the prefix, also those that left their parent and session.

    Returns:
        How many there were. One may have started another meanwhile: call again until there are none.
    """
    needle = f"{MARKER}={prefix}".encode()
    killed = 0
    for pid in _pids():
        # A process may end meanwhile, or belong to another user.
        with contextlib.suppress(OSError):
            if pid != os.getpid() and _carries(pid, needle):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _carries(pid: int, needle: bytes) -> bool:
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    return environment.startswith(needle) or b"\0" + needle in environment
