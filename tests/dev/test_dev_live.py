"""A program that runs from a copy of its source, as a process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rekindle_dev.live

if TYPE_CHECKING:
    from tests.conftest import Eventually

PROGRAM = """
import signal, sys, time
from rekindle_said import WORD

def end(*_):
    print("ended", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print(WORD, flush=True)
if "once" in sys.argv:
    sys.exit(int(sys.argv[2]))
while True:
    time.sleep(0.1)
"""


class Live:
    """The program in `installed`, run from `copy`."""

    def __init__(self, folder: Path) -> None:
        self.installed, self.copy, self.log = folder / "installed", folder / "copy", folder / "log"
        self.word = self.copy / "rekindle_said/__init__.py"
        package = self.installed / "rekindle_said"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("WORD = 'first'\n")
        (package / "__main__.py").write_text(PROGRAM)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        live = [sys.executable, rekindle_dev.live.__file__, f"--source={self.installed}", f"--copy={self.copy}"]
        with self.log.open("wb") as log:
            return subprocess.Popen([*live, sys.executable, "-m", "rekindle_said", *arguments], stdout=log, stderr=log)

    def said(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line in {"first", "second", "ended"}]


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


@pytest.fixture
def process(live: Live) -> "Iterator[subprocess.Popen[bytes]]":
    started = live.start()
    yield started
    started.kill()
    started.wait()


def test_a_change_of_the_copy_starts_the_program_again(
    live: Live, process: "subprocess.Popen[bytes]", eventually: "Eventually"
) -> None:
    eventually(lambda: live.said() == ["first"])
    live.word.write_text("WORD = 'second'\n")
    eventually(lambda: live.said() == ["first", "ended", "second"])
    process.terminate()
    assert process.wait(60) == 0
    assert live.said() == ["first", "ended", "second", "ended"]


def test_a_mistake_waits_for_the_next_change(
    live: Live, process: "subprocess.Popen[bytes]", eventually: "Eventually"
) -> None:
    eventually(lambda: live.said() == ["first"])
    live.word.write_text("WORD = \n")
    eventually(lambda: "SyntaxError" in live.log.read_text())
    live.word.write_text("WORD = 'second'\n")
    eventually(lambda: live.said() == ["first", "ended", "second"])
    assert process.poll() is None


def test_changes_outlive_the_container(live: Live) -> None:
    assert live.start("once", "0").wait(30) == 0
    live.word.write_text("WORD = 'second'\n")
    assert live.start("once", "0").wait(30) == 0
    assert live.said() == ["second"]


@pytest.mark.parametrize("status", [0, 3])
def test_a_program_that_ends_by_itself_gives_its_status(live: Live, status: int) -> None:
    assert live.start("once", str(status)).wait(30) == status
