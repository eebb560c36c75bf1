"""Folders of stacks: held while one runs, stale afterwards."""

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev import state
from rekindle_dev.farewell import Stopped
from rekindle_dev.guide import environment_file, reach, variables
from rekindle_dev.processes import PartError
from rekindle_dev.state import Record, StateError

if TYPE_CHECKING:
    from tests.dev.conftest import RunScript

RECORD = Record(
    pid=1,
    kubeconfig="/there/kubeconfig",
    namespace="rekindle",
    api="http://127.0.0.1:1",
    supabase_url="http://127.0.0.1:2",
    supabase_publishable_key="public",
    supabase_secret_key="it's secret",
    supabase_webhook_secret="signs",
    s3_endpoint="http://127.0.0.1:3",
    s3_bucket="rekindle",
    s3_access_key_id="id",
    s3_secret_access_key="key",
    database_url="postgresql://127.0.0.1:4/rekindle",
)


@pytest.fixture(autouse=True)
def _own_folder_of_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def _hold(directory: Path, then: str) -> str:
    return f"""
import signal, time
from pathlib import Path
from rekindle_dev.state import occupied
with occupied(Path({str(directory)!r})):
    {then}
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_gone_after_its_stack_ended(tmp_path: Path) -> None:
    with state.occupied(tmp_path / "stack"):
        (tmp_path / "stack" / "data").mkdir()
        state.write_record(tmp_path / "stack", RECORD)
        assert (tmp_path / "stack" / "stack.json").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "stack").exists()


def test_an_error_keeps_the_logs_and_an_interruption_does_not(tmp_path: Path) -> None:
    with pytest.raises(PartError), state.occupied(tmp_path / "failed"):
        raise PartError("no database")
    with pytest.raises(Stopped), state.occupied(tmp_path / "interrupted"):
        raise Stopped
    assert (tmp_path / "failed").exists()
    assert not state.is_running(tmp_path / "failed")
    assert not (tmp_path / "interrupted").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    with (
        state.occupied(directory),
        pytest.raises(StateError, match=r"already.*rekindle-dev down"),
        state.occupied(directory),
    ):
        pytest.fail("two stacks in one folder")


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(StateError, match="not ours"), state.occupied(tmp_path):
        pytest.fail("took a folder of somebody else")
    assert (tmp_path / "photo.jpg").read_text() == "precious"


def test_what_a_crashed_stack_left_is_found_and_removed(run_script: "RunScript") -> None:
    directories = [state.new_directory() for _ in range(2)]
    crashed = [run_script(_hold(directory, "Path('.')")) for directory in directories]
    for process in crashed:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
    assert all(state.is_running(directory) for directory in directories)
    assert state.remove_stale() == []
    for process in crashed:
        process.kill()
        process.wait(30)
    assert not any(state.is_running(directory) for directory in directories)
    assert "had crashed" in state.end(directories[0])
    assert state.remove_stale() == [directories[1]]
    assert state.known_stacks() == []


def test_a_stale_folder_is_used_again_and_empty(tmp_path: Path, run_script: "RunScript") -> None:
    crashed = run_script(_hold(tmp_path, f"Path({str(tmp_path)!r}, 'old').touch()"))
    assert crashed.stdout is not None
    assert crashed.stdout.readline() == "held\n"
    crashed.kill()
    crashed.wait(30)
    assert (tmp_path / "old").exists()
    with state.occupied(tmp_path):
        assert not (tmp_path / "old").exists()


def test_a_stack_elsewhere_is_ended_even_if_it_ignores_the_polite_signal(
    run_script: "RunScript", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_STOP_SECONDS", 3)
    directory = state.new_directory()
    stubborn = run_script(_hold(directory, "signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == "held\n"
    assert "has ended" in state.end(directory)
    assert stubborn.wait(30) == -signal.SIGKILL
    assert not directory.exists()


def test_ending_what_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no stack"):
        state.end(tmp_path)


def test_stacks_are_kept_under_home_when_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state.state_directory() == Path.home() / ".local" / "state" / "rekindle"


def test_the_environment_file_is_private_and_a_shell_reads_it(tmp_path: Path) -> None:
    path = environment_file(RECORD, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    script = f'. {path} && echo "$SUPABASE_SECRET_KEY $KUBECONFIG"'
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed == "it's secret /there/kubeconfig\n"


def test_a_person_is_told_how_to_reach_each_part(tmp_path: Path) -> None:
    text = reach(RECORD, tmp_path)
    told = ("KUBECONFIG", "DATABASE_URL")
    assert all(variables(RECORD)[name] in text for name in told)
    assert all(url in text for url in (RECORD.api, RECORD.s3_endpoint, RECORD.supabase_url))
