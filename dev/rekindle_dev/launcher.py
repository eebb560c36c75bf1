"""Starts children so that none outlives this process: from one lasting thread, and in the reaper's book.

The kernel ties a guarded child to the thread that started it, not to the process: a child of a short-lived thread would
die with that thread. Hence one thread starts them all.
"""

import atexit
import os
import queue
import signal
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
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        threading.Thread(target=self._run, name="launcher", daemon=True).start()

    def launch(self, start: Start) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((start, answer))
        return answer.result()

    def forget(self, group: int) -> None:
        with self._lock:
            self._groups.discard(group)
            self._note(f"-{group}")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for group in self._groups:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
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

    def _note(self, line: str) -> None:
        # Without its reaper a child is still guarded by the kernel.
        with suppress(BrokenPipeError, ValueError):
            self._pipe.write(f"{line}\n".encode())

    def _run(self) -> None:
        while True:
            start, answer = self._orders.get()
            try:
                answer.set_result(self._start(start))
            except Exception as error:  # noqa: BLE001 - it is raised where the order came from
                answer.set_exception(error)

    def _start(self, start: Start) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ChildProcessError("this program ends, and starts nothing more")
            process = start()
            self._groups.add(process.pid)
            self._note(f"+{process.pid}")
            return process


_state: dict[str, _Launcher] = {}
_state_lock = threading.Lock()


def launch(start: Start) -> subprocess.Popen[bytes]:
    """Call `start` in the lasting thread; the process group of what it starts ends with us.

    Raises:
        ChildProcessError: after `end_all`.
    """
    with _state_lock:
        if "launcher" not in _state:
            _state["launcher"] = _Launcher()
    return _state["launcher"].launch(start)


def forget(group: int) -> None:
    """Tell the reaper that a process group has ended and its number may be used by others."""
    if launcher := _state.get("launcher"):
        launcher.forget(group)


def end_all() -> None:
    """End every child at once, those included that are just starting; for programs that end."""
    if launcher := _state.get("launcher"):
        launcher.close()


def _abandon() -> None:
    if launcher := _state.pop("launcher", None):
        launcher.abandon()


atexit.register(end_all)
os.register_at_fork(after_in_child=_abandon)
