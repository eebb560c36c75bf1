"""Ties a program to the life of its parent, then becomes that program. Run as a script; standard library only.

usage: guard.py PARENT_PID DEATH_SIGNAL keep|drop COMMAND...

The kernel sends DEATH_SIGNAL to the program as soon as the thread that started it is gone, however it went. With
`drop`, a guard that runs as root becomes the user nobody first, and keeps only the right to pass directories that
nobody may not enter: programs like PostgreSQL refuse to run as root, and need not have the way to them opened to all.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def become_nobody() -> None:
    """Give up root for the user nobody, keeping CAP_DAC_OVERRIDE across the next exec."""
    _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    bit = 1 << _CAP_DAC_OVERRIDE
    sets = (_CapabilitySets * 2)(_CapabilitySets(bit, bit, bit), _CapabilitySets())
    # Where the container lacks the capability this fails, and the program itself says which path it may not enter.
    if _libc.capset(ctypes.byref(_CapabilityHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)) == 0:
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main() -> None:
    """Do as the module's docstring says."""
    parent, death_signal, privileges, *command = sys.argv[1:]
    if privileges == "drop" and os.geteuid() == 0:
        become_nobody()
    # After the change of user, which would clear it.
    if _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
