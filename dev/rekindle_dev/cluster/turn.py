"""One node at a time on a machine: a lock that the kernel frees when we die, and where the last one kept its state."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rekindle_dev.processes import PartError

_FILE = Path("/run/rekindle-node")


class Turn:
    """The right to run the machine's only node, until it is ended or we die."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path, *, clear: Callable[[Path], None], file: Path = _FILE) -> Self:
        """Take the turn for a node whose state is in `directory`.

        Args:
            directory: written down until the turn is ended.
            clear: called with the directory of a node that was killed and could not clear up.
            file: where it is written down.

        Raises:
            PartError: if another node runs.
        """
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                last = os.read(descriptor, 4096).decode()
                raise PartError(f"A node runs on this machine already, in {last}: end it first.") from None
            if last := os.read(descriptor, 4096).decode():
                clear(Path(last))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, os.fsencode(directory), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def end(self) -> None:
        """Give the turn back: nothing is left to clear."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
