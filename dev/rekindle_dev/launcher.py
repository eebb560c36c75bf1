"""Starts children so that none outlives this process: from one lasting thread, and in the reaper's book.

The kernel ties a guarded child to the thread that started it, not to the process: a child of a short-lived thread would
die with that thread. Hence one thread starts them all.
"""

import atexit
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import IO

from rekindle_dev import reaper

Start = Callable[[], subprocess.Popen[bytes]]


class _Launcher:
    """The thread, and the reaper process that holds the other end of a pipe which closes when we are gone."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Start, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        threading.Thread(target=self._run, name="launcher", daemon=True).start()

    def launch(self, start: Start) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((start, answer))
        process = answer.result()
        self.note(f"+{process.pid}")
        return process

    def note(self, line: str) -> None:
        # Without its reaper a child is still guarded by the kernel.
        with suppress(BrokenPipeError):
            self._pipe.write(f"{line}\n".encode())

    def close(self) -> None:
        self._pipe.close()
        self._reaper.wait()

    def abandon(self) -> None:
        """Let go of the pipe in a forked copy of this process, where the thread is not."""
        self._pipe.close()
        self._reaper.returncode = 0

    @property
    def _pipe(self) -> IO[bytes]:
        if self._reaper.stdin is None:
            raise RuntimeError("the reaper was started without a pipe")
        return self._reaper.stdin

    def _run(self) -> None:
        while True:
            start, answer = self._orders.get()
            try:
                answer.set_result(start())
            except Exception as error:  # noqa: BLE001 - it is raised where the order came from
                answer.set_exception(error)


_state: dict[str, _Launcher] = {}
_lock = threading.Lock()


def launch(start: Start) -> subprocess.Popen[bytes]:
    """Call `start` in the lasting thread; the process group of what it starts ends with us."""
    with _lock:
        if "launcher" not in _state:
            _state["launcher"] = _Launcher()
            atexit.register(_close)
    return _state["launcher"].launch(start)


def forget(group: int) -> None:
    """Tell the reaper that a process group has ended and its number may be used by others."""
    if launcher := _state.get("launcher"):
        launcher.note(f"-{group}")


def _close() -> None:
    if launcher := _state.pop("launcher", None):
        launcher.close()


def _abandon() -> None:
    if launcher := _state.pop("launcher", None):
        launcher.abandon()


os.register_at_fork(after_in_child=_abandon)
