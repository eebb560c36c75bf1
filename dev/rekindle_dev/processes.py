"""Child processes that cannot outlive us: started under the guard, watched while they get ready, stopped for sure."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rekindle_dev import guard, launcher

_POLL_SECONDS = 0.05


class PartError(RuntimeError):
    """A part of the stack did not start, or ended by itself. The message shows the last lines of its log."""


class PortTakenError(PartError):
    """Somebody else took the port between our choice and the part's bind: choose again."""


@dataclass(frozen=True)
class Program:
    """What to run, and how it ends."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    unprivileged: bool = False
    """Whether it refuses to run as root, and so runs as nobody when we are root."""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when we die."""
    grace_seconds: float = 10.0
    """How long it may take to stop before it is killed."""


class Child:
    """A running program with a log file, in a session of its own.

    Raises:
        PartError: from `start`, if the program cannot be run at all.
    """

    def __init__(self, program: Program, log: Path, log_start: int, process: subprocess.Popen[bytes]) -> None:
        self.program = program
        self.log = log
        self._log_start = log_start
        self._process = process

    @classmethod
    def start(cls, program: Program, log: Path, *, directory: Path | None = None) -> Self:
        """Start `program`; its standard output and error are appended to `log`."""
        command = [
            sys.executable, "-I", "-S", guard.__file__,
            str(os.getpid()), str(int(program.death_signal)), "drop" if program.unprivileged else "keep",
            *program.command,
        ]  # fmt: skip
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            log_start = output.tell()
            process = launcher.launch(
                lambda: subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=directory,
                    env={**os.environ, **program.environment},
                    start_new_session=True,
                )
            )
        return cls(program, log, log_start, process)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the program's session and process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the program ended; negative for a signal, None while it runs."""
        if self._process.returncode is not None:
            return self._process.returncode
        # Not yet reaped, so that nobody else can get its number before `kill` has seen to its group.
        try:
            seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            # Another thread has just killed and reaped it.
            return self._process.wait()
        if seen is None:
            return None
        return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status

    def tail(self, lines: int = 20) -> str:
        """Return the last lines that the program wrote since this start."""
        return tail(self.log, lines, start=self._log_start)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready()` is true; an exception that it raises means not yet.

        Raises:
            PortTakenError: if the program ended because its port is in use.
            PartError: if it ended otherwise, or is not ready after `seconds`.
        """
        deadline = time.monotonic() + seconds
        complaint = "it gave no sign of life"
        while time.monotonic() < deadline:
            if (code := self.exit_code) is not None:
                raise self._ended(code)
            try:
                if ready():
                    return
                complaint = "it is not ready"
            except Exception as error:  # noqa: BLE001 - whatever the probe met is kept for the message
                complaint = f"{type(error).__name__}: {error}"
            time.sleep(_POLL_SECONDS)
        raise PartError(f"{self.program.name} was not ready after {seconds:.0f} s ({complaint}).\n{self._last_lines()}")

    def wait(self, *, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait for a program that ends by itself, calling `meanwhile` again and again.

        Raises:
            PartError: if it fails, or still runs after `seconds`.
        """
        deadline = time.monotonic() + seconds
        try:
            while (code := self.exit_code) is None:
                if time.monotonic() > deadline:
                    raise PartError(f"{self.program.name} did not end within {seconds:.0f} s.\n{self._last_lines()}")
                meanwhile()
                time.sleep(_POLL_SECONDS)
        finally:
            self.kill()
        if code != 0:
            raise self._ended(code)

    def check(self) -> None:
        """Do nothing while the program runs.

        Raises:
            PartError: if it has ended.
        """
        if (code := self.exit_code) is not None:
            raise self._ended(code)

    def stop(self) -> None:
        """Ask the program to stop, kill it and what is left of its process group after the grace period."""
        self._signal(self.program.stop_signal)
        deadline = time.monotonic() + self.program.grace_seconds
        while self.exit_code is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the program and its process group at once."""
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        launcher.forget(self.pid)
        self._process.wait()

    def pause(self) -> None:
        """Freeze the program: its port stays open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def _last_lines(self) -> str:
        return f"Last lines of {self.log}:\n{self.tail() or '(empty)'}"

    def _ended(self, code: int) -> PartError:
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        kind = PortTakenError if "address already in use" in self.tail(50).lower() else PartError
        return kind(f"{self.program.name} ended with {how}.\n{self._last_lines()}")


def tail(log: Path, lines: int, *, start: int = 0) -> str:
    """Return the last `lines` lines of a log file from byte `start` on, or nothing if there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(start, log.stat().st_size - 64 * 1024))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])
