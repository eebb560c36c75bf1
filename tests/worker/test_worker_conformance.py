"""The test that engines can be put to: this one passes it, and others are told what they do wrong."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rekindle_worker.cli import main

pytestmark = pytest.mark.stack

OWN = (sys.executable, "-m", "rekindle_worker", "run")
FORGETFUL = """
import json, os, runpy, sys
task = json.loads(os.environ["REKINDLE_TASK"])
task["restore"].pop("watermark", None)
task["restore"].pop("prompt", None)
os.environ["REKINDLE_TASK"] = json.dumps(task)
sys.argv = ["rekindle-worker", "run"]
runpy.run_module("rekindle_worker", run_name="__main__")
"""
Examine = Callable[..., int]


@pytest.fixture
def examine(workplace, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run the command on the bucket of this test."""
    for name, value in workplace.environment.items():
        monkeypatch.setenv(name, value)

    def run(*command: str, operation: str = "Restore") -> int:
        return main(["conformance", "--bucket", workplace.bucket, "--operation", operation, "--", *command])

    return run


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["Restore", "Animate"])
def test_this_engine_keeps_the_whole_contract(
    examine: Examine, workplace, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    assert examine(*OWN, operation=operation) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert said.count("ok  ") == 9
    assert "FAIL" not in said
    assert workplace.keys() == []


def test_an_engine_that_does_nothing_is_told_all_that_is_missing(
    examine: Examine, workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine(sys.executable, "-c", "pass") == 1
    said = capsys.readouterr().out
    assert "there is no manifest.json" in said
    assert "no line of progress was printed" in said
    assert "exit code 0, not 10 (SourceNotFound)" in said
    assert workplace.keys() == []


def test_a_command_or_a_store_that_is_not_there_is_said(
    examine: Examine, workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine("/no/such/engine") == 2
    assert "/no/such/engine" in capsys.readouterr().err
    assert workplace.keys() == []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert examine(*OWN) == 2
    assert capsys.readouterr().err.startswith("rekindle-worker: ")


@pytest.mark.slow
def test_an_engine_that_swallows_wishes_is_found_out(
    examine: Examine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "forgetful.py"
    program.write_text(FORGETFUL)
    assert examine(sys.executable, str(program)) == 1
    said = capsys.readouterr().out
    assert "no copies were made, and unfulfilled does not name watermark" in said
