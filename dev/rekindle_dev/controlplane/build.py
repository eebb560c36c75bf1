"""Builds a Go program once into the user's cache, safely beside other builds of the same program."""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rekindle_dev.controlplane.toolchain import Toolchain, find_toolchain
from rekindle_dev.processes import Child, PartError, Program

BUILD_SECONDS = 3600.0


class BuildError(RuntimeError):
    """The Go program could not be built. The message ends with what the compiler said last."""


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is."""

    stage: str
    """What happens now, in words."""
    seconds: float
    modules: int = 0
    """Modules downloaded so far; those that Go has already are not counted."""
    packages: int = 0
    """Packages compiled so far; those that Go has already are not counted."""


Report = Callable[[BuildProgress], None]


@dataclass(frozen=True)
class GoProgram:
    """A folder with the source of one Go program, and the linker flags it is built with."""

    name: str
    source: Path
    linker_flags: str = "-s -w"
    package: str = "."
    """What is built: the folder itself, or a program among the modules that its go.mod requires."""
    proof: tuple[str, ...] = ()
    """Arguments with which it shows that it runs, and ends."""

    @property
    def digest(self) -> str:
        """Identifies what the build depends on: source, flags and machine type."""
        digest = hashlib.sha256(f"{self.name} {self.linker_flags} {platform.machine()}".encode())
        for file in sorted(self.source.iterdir()):
            if file.suffix in (".go", ".mod", ".sum"):
                digest.update(b"\0%s\0%s" % (file.name.encode(), file.read_bytes()))
        return digest.hexdigest()[:16]

    @property
    def module(self) -> str:
        """The module path of go.mod, which is also the name of its main package."""
        match = re.search(r"^module (\S+)", (self.source / "go.mod").read_text(), re.MULTILINE)
        return match[1] if match else ""

    @property
    def go_version(self) -> tuple[int, int]:
        """The least Go version that go.mod asks for."""
        match = re.search(r"^go (\d+)\.(\d+)", (self.source / "go.mod").read_text(), re.MULTILINE)
        return (int(match[1]), int(match[2])) if match else (1, 0)


def cache_directory() -> Path:
    """Return the folder for what may be kept between runs: $XDG_CACHE_HOME/rekindle, else ~/.cache/rekindle."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "rekindle"


def built(program: GoProgram, cache: Path, report: Report, *, toolchain: Toolchain | None = None) -> Path:
    """Return the path of the built program, building it if the cache lacks it.

    Two processes that build the same program at the same time make one build: the second waits. What is in the cache
    is always whole, for a build is moved there only when it is finished and runs.

    Raises:
        ToolchainError: if there is no Go to build with.
        BuildError: if the build fails.
    """
    target = cache / program.name / program.digest / program.name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target.parent / "lock", report):
        if not target.exists():
            _build(program, target, report, toolchain or find_toolchain(program.go_version))
    return target


@contextmanager
def _lock(path: Path, report: Report) -> Iterator[None]:
    """Hold an exclusive lock that the kernel frees when we die."""
    began = time.monotonic()
    with path.open("w") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(BuildProgress("waiting for another build", time.monotonic() - began))
                time.sleep(0.2)
        yield


def _build(program: GoProgram, target: Path, report: Report, toolchain: Toolchain) -> None:
    # We hold the lock, so what other build folders there are was left by a build that was killed.
    for leftover in target.parent.glob("build-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent, ignore_cleanup_errors=True) as name:
        output = Path(name, program.name)
        _compile(program, output, Path(name, "log"), report, toolchain)
        _prove(output, program.proof)
        output.replace(target)


def _compile(program: GoProgram, output: Path, log: Path, report: Report, toolchain: Toolchain) -> None:
    command = (
        str(toolchain.command), "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly",
        "-ldflags", program.linker_flags, "-o", str(output), program.package,
    )  # fmt: skip
    environment = {
        **toolchain.environment,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOOS": "linux",
    }
    child = Child.start(Program("go build", command, environment), log, directory=program.source)
    follower = _Follower(log, report, program.module)
    try:
        child.wait(seconds=BUILD_SECONDS, meanwhile=follower.look)
    except PartError as error:
        raise BuildError(str(error)) from None
    finally:
        child.kill()


class _Follower:
    """Counts what `go build -v` prints: one line a module that is downloaded, one a package that is compiled."""

    def __init__(self, log: Path, report: Report, module: str) -> None:
        self._log = log
        self._module = module
        self._report = report
        self._began = time.monotonic()

    def look(self) -> None:
        """Report how far the build is."""
        lines = self._log.read_text(errors="replace").splitlines()
        modules = sum(line.startswith("go: downloading ") for line in lines)
        packages = len(lines) - sum(line.startswith("go: ") for line in lines)
        if packages and lines[-1] == self._module:
            stage = "linking"
        elif modules and not packages:
            stage = "downloading"
        else:
            stage = "compiling"
        self._report(BuildProgress(stage, time.monotonic() - self._began, modules, packages))


def _prove(binary: Path, arguments: tuple[str, ...]) -> None:
    """Run the program once: a full disk leaves files that look like programs.

    Raises:
        BuildError: if it does not run.
    """
    try:
        subprocess.run([binary, *arguments], capture_output=True, timeout=60, check=False)
    except OSError as error:
        raise BuildError(f"the program that was built does not run: {error}") from error
