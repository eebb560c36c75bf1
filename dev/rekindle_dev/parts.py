"""Starts parts side by side, each as soon as the parts it needs are ready, and ends them together."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol, TypeVar

T = TypeVar("T")


class Report(Protocol):
    """Told how the parts come up; called from several threads."""

    def began(self, part: str) -> None:
        """A part starts."""

    def said(self, part: str, text: str) -> None:
        """A part that starts has something to tell."""

    def ready(self, part: str, seconds: float) -> None:
        """A part is ready."""

    def failed(self, part: str) -> None:
        """A part cannot start."""


class Silent:
    """A report to nobody."""

    def began(self, part: str) -> None:
        """A part starts."""

    def said(self, part: str, text: str) -> None:
        """A part that starts has something to tell."""

    def ready(self, part: str, seconds: float) -> None:
        """A part is ready."""

    def failed(self, part: str) -> None:
        """A part cannot start."""


class Starting(Future[None]):
    """A part that is being started."""


class Parts:
    """What runs, in the order in which it came up; ended in the opposite order."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._running = ExitStack()
        self._lock = threading.Lock()
        self._closed = False

    def begin(self, part: str, start: Callable[[], None], *, after: Iterable[Starting] = ()) -> Starting:
        """Call `start` in a thread of its own once the parts `after` are ready.

        The threads are daemons: who interrupts us shall not wait for a part that hangs.
        """
        outcome = Starting()

        def run() -> None:
            try:
                for earlier in after:
                    earlier.result()
                began = time.monotonic()
                self._report.began(part)
                try:
                    start()
                except BaseException:
                    self._report.failed(part)
                    raise
                self._report.ready(part, time.monotonic() - began)
                outcome.set_result(None)
            except BaseException as error:  # noqa: BLE001 - it is raised where the part is waited for
                outcome.set_exception(error)

        threading.Thread(target=run, name=part, daemon=True).start()
        return outcome

    def keep(self, part: AbstractContextManager[T]) -> T:
        """Take over a part that has started: it ends with the others.

        Raises:
            RuntimeError: if the others have ended meanwhile; the part is ended then.
        """
        with self._lock:
            if not self._closed:
                return self._running.enter_context(part)
        with part:
            raise RuntimeError("the stack was ended while this part started")

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            self._closed = True
        self._running.close()


def join(outcomes: Iterable[Starting]) -> None:
    """Wait until all parts are ready, or one has failed.

    Raises:
        Exception: what the first part that failed, in the order given, raised.
    """
    ordered = list(outcomes)
    wait(ordered, return_when=FIRST_EXCEPTION)
    for outcome in ordered:
        if outcome.done():
            outcome.result()
