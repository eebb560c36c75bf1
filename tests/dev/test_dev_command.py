"""The command rekindle-dev, run as a user runs it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]

Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Start rekindle-dev with the test's own folder of stacks; its output goes to a pipe."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "rekindle_dev.cli", *arguments],
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _wait_for(process: "subprocess.Popen[str]", text: str) -> str:
    """Return what the process printed until a line that begins with `text`."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(text):
            return "".join(lines)
    pytest.fail(f"it ended without {text!r}:\n{''.join(lines)}\n{process.communicate()[1]}")


def test_the_demo_ends_with_pictures_and_a_video_and_leaves_nothing(
    command: Command, tmp_path: Path, processes_of: "Marked", eventually: "Eventually"
) -> None:
    output, errors = command("demo", "--once", "--output", "pictures").communicate(timeout=500)
    assert errors == ""
    assert output.count("Succeeded") == 2
    with av.open(tmp_path / "pictures" / "animated.mp4", "r") as video:
        assert next(video.decode(video=0)).height >= 480
    sizes = {}
    for name in ("before", "after", "before-after"):
        with Image.open(tmp_path / "pictures" / f"{name}.jpg") as picture:
            sizes[name] = picture.size
    assert sizes["before"] == sizes["after"]
    assert sizes["before-after"][0] > sizes["before-after"][1]
    assert list((tmp_path / "state" / "rekindle").iterdir()) == []
    eventually(lambda: not processes_of(tmp_path / "state"))


def test_stacks_run_side_by_side_and_end_by_command_or_crash(
    command: Command, tmp_path: Path, processes_of: "Marked", eventually: "Eventually"
) -> None:
    first, second = command("up"), command("up", "--directory", str(tmp_path / "second"))
    for process in (first, second):
        printed = _wait_for(process, "  For example")
        assert all(word in printed for word in ("KUBECONFIG", "API", "S3", "Token issuer", "DATABASE_URL"))
    first.kill()
    eventually(lambda: not processes_of(tmp_path / "state"))
    output, _ = command("down").communicate(timeout=120)
    assert "had crashed; what it left is removed" in output
    assert second.poll() is None

    output, _ = command("down", str(tmp_path / "second")).communicate(timeout=120)
    assert "has ended" in output
    assert second.wait(60) == 0
    assert not (tmp_path / "second").exists()
    eventually(lambda: not processes_of(tmp_path / "second"))


def test_interrupted_while_it_starts_it_leaves_nothing(
    command: Command, tmp_path: Path, processes_of: "Marked", eventually: "Eventually"
) -> None:
    process = command("up")
    eventually(lambda: len(processes_of(tmp_path / "state")) >= 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    eventually(lambda: not processes_of(tmp_path / "state"))
    assert list((tmp_path / "state" / "rekindle").iterdir()) == []


def test_a_part_that_fails_shows_its_log_and_nothing_is_left(
    command: Command, processes_of: "Marked", tmp_path: Path, eventually: "Eventually"
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        _, errors = command("up", "--api-port", str(taken.getsockname()[1])).communicate(timeout=300)
    assert "rekindle-api serve ended with exit code" in errors
    assert "address already in use" in errors
    eventually(lambda: not processes_of(tmp_path / "state"))


def test_a_photo_that_is_not_there_is_told_before_anything_starts(command: Command, tmp_path: Path) -> None:
    process = command("demo", "--photo", "missing.jpg")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "missing.jpg: there is no such photo" in errors
    assert not (tmp_path / "state").exists()


def test_a_file_that_is_no_photo_is_refused_by_the_api_in_its_words(command: Command, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear all,")
    process = command("demo", "--once", "--photo", "letter.jpg")
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "The API answered 4" in errors
