"""Fixtures for the embedded stack's own tests."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

RunScript = Callable[[str], "subprocess.Popen[str]"]
Marked = Callable[[Path], list[psutil.Process]]


@pytest.fixture
def run_script() -> Iterator[RunScript]:
    """Run Python source in a process of its own; what is left of it is killed after the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(source: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def processes_of() -> Marked:
    """Return the processes whose command line or working directory names a folder."""

    def find(folder: Path) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if str(folder) in _marks(process)]

    return find


def _marks(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), process.cwd()])
    except psutil.Error:
        return ""
