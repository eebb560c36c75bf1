"""One of our own programs as a part of the stack: it serves its health on a port, and may be killed and restarted."""

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rekindle_dev.ports import on_free_ports
from rekindle_dev.processes import Child, Program

READY_SECONDS = 90.0


class Service:
    """A running program of ours: a context manager that stops it at the end.

    Attributes:
        url: where it answers; the same after a restart.
    """

    def __init__(self, program: Callable[[int], Program], log: Path) -> None:
        self._program = program
        self._log = log
        self._port = 0
        self._child: Child | None = None

    @classmethod
    def start(cls, program: Callable[[int], Program], log: Path, port: int | None = None) -> Self:
        """Start a program and wait until its /readyz answers.

        Args:
            program: what to run on a given port.
            log: file to which its output is appended.
            port: the port; any free one when left out.

        Raises:
            PartError: if it does not get ready; with the last lines of its log.
        """
        service = cls(program, log)
        if port:
            service._serve(port)
        else:
            on_free_ports(1, lambda ports: service._serve(ports[0]))
        return service

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the program that runs now."""
        if self._child is None:
            raise RuntimeError("the program was not started")
        return self._child.pid

    def close(self) -> None:
        """Stop it as a cluster would: SIGTERM, then SIGKILL."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """End it at once with SIGKILL."""
        if self._child:
            self._child.kill()

    def restart(self) -> None:
        """Start it again on its port.

        Raises:
            PartError: if it does not get ready.
        """
        self.close()
        self._serve(self._port)

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: if it ended by itself; with the last lines of its log.
        """
        if self._child:
            self._child.check()

    def _serve(self, port: int) -> None:
        self._port = port
        self._child = Child.start(self._program(port), self._log)
        try:
            self._child.wait_until(self._is_ready, seconds=READY_SECONDS)
        except BaseException:
            self._child.kill()
            raise

    def _is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
