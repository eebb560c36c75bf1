"""Builds stripe-mock once into the user's cache, and runs it as a process."""

import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from rekindle_dev.controlplane.build import GoProgram, Report, built, cache_directory
from rekindle_dev.ports import on_free_ports
from rekindle_dev.processes import Child, Program

READY_SECONDS = 60.0
_SOURCE = Path(__file__).parent / "program"
PROGRAM = GoProgram("stripe-mock", _SOURCE, package="github.com/stripe/stripe-mock", proof=("-version",))


class StripeMock:
    """A running stripe-mock: a context manager that stops it at the end.

    Attributes:
        url: stands in for Stripe's address.
    """

    def __init__(self, binary: Path, log: Path) -> None:
        self._binary = binary
        self._log = log
        self._child: Child | None = None
        self.url = ""

    @classmethod
    def start(cls, directory: Path, report: Report = lambda _: None) -> Self:
        """Start it with its log in `directory`, building it first when the cache lacks it.

        Raises:
            BuildError, ToolchainError: if it must be built and cannot be.
            PartError: if it does not get ready; with the last lines of its log.
        """
        mock = cls(built(PROGRAM, cache_directory(), report), directory / "stripe-mock.log")
        on_free_ports(2, lambda ports: mock._serve(*ports))
        return mock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it."""
        if self._child:
            self._child.kill()

    def _serve(self, port: int, secure_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = (
            str(self._binary), "-http-addr", f"127.0.0.1:{port}", "-https-addr", f"127.0.0.1:{secure_port}",
        )  # fmt: skip
        self._child = Child.start(Program("stripe-mock", command), self._log)
        try:
            self._child.wait_until(self._answers, seconds=READY_SECONDS)
        except BaseException:
            self._child.kill()
            raise

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=2):  # noqa: S310 - our own URL
                return True
        except urllib.error.HTTPError as answer:
            # It asks for a key: it is there.
            answer.close()
            return True
