"""The first process of a container: started so that it dies with the node, read, signalled, waited for."""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def dies_with_parent() -> Callable[[], None]:
    """Return what a child calls between fork and exec, so that the kernel kills it when this process ends."""
    parent = os.getpid()

    def arm() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


class Process:
    """A started process and its two streams, watched by the running event loop."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start the command in the folder with exactly this environment.

        Raises:
            OSError: when the program or the folder can't be used.
        """
        self._popen = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=dies_with_parent(),  # noqa: PLW1509 - it only makes two system calls
        )
        self.pid = self._popen.pid

    async def read(self, stdout: asyncio.Protocol, stderr: asyncio.Protocol) -> list[asyncio.BaseTransport]:
        """Hand the two streams to protocols and return their transports."""
        loop = asyncio.get_running_loop()
        first, _ = await loop.connect_read_pipe(lambda: stdout, self._popen.stdout)
        second, _ = await loop.connect_read_pipe(lambda: stderr, self._popen.stderr)
        return [first, second]

    async def wait(self) -> int:
        """Return the exit code when the process has ended: 128 + n for one that signal n ended."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        handle = os.pidfd_open(self.pid)
        try:
            loop.add_reader(handle, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        code = self._popen.wait()
        return 128 - code if code < 0 else code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, as a container runtime does to the first process of a container."""
        self._popen.send_signal(number)
