"""Stopping on SIGTERM or SIGINT: the handler only notes the wish, checkpoints in the work act on it."""

import signal
from types import FrameType

from rekindle_crds import ExitCode
from rekindle_worker.failure import WorkFailed


class Stop:
    """Whether the process was asked to stop."""

    def __init__(self) -> None:
        # A plain attribute: a handler may run in the middle of a lock that threading.Event would need.
        self._asked = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on; only the main thread can call this."""
        signal.signal(signal.SIGTERM, self._note)
        signal.signal(signal.SIGINT, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked

    def check(self) -> None:
        """Do nothing until the process is asked to stop.

        Raises:
            WorkFailed: With exit code 20, once a signal has come.
        """
        if self._asked:
            raise WorkFailed(ExitCode.TERMINATED, "stopped by a signal before the result was committed")
