"""`why`, `top`, `logs`, `cancel`, `suspend`, `resume`, `retry`: a real API server, statuses made for the tests."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from rekindle_crds import Attempt, Condition, JobStatus, Phase, Waiting
from rekindle_crds.status import Progress

pytestmark = pytest.mark.stack

MOMENT = "2026-03-01T12:00:00Z"


def ended(phase, reason, **status):
    truth = "True" if phase == Phase.SUCCEEDED else "False"
    told = Condition(type="Succeeded", status=truth, reason=reason, message="words", last_transition_time=MOMENT)
    return JobStatus(phase=phase, conditions=[told], completion_time=MOMENT, **status).wire()


def waiting(reason, **more):
    return JobStatus(phase=Phase.PENDING, waiting=Waiting(reason=reason, message="words", **more)).wire()


def running(percent):
    return JobStatus(phase=Phase.RUNNING, progress=Progress(percent=percent, stage="denoise")).wire()


class Terminal:
    """What a program showed on its terminal so far."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.text = descriptor, ""

    def until(self, words: str, seconds: float = 30) -> None:
        """Read until the words were shown since the last time."""
        seen, deadline = "", time.monotonic() + seconds
        while words not in seen:
            if time.monotonic() > deadline:
                pytest.fail(f"{words!r} was not shown: {seen[-3000:]}")
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    piece = os.read(self.descriptor, 65_536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"{words!r} was not shown before the end: {seen[-3000:]}")
                seen += piece
                self.text += piece

    def rest(self) -> str:
        """Read to the end."""
        while True:
            try:
                piece = os.read(self.descriptor, 65_536).decode(errors="replace")
            except OSError:
                return self.text
            self.text += piece

    def press(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)


@pytest.fixture
def terminal(plugin):
    """Runs the plugin in a terminal of 140 columns."""

    @contextmanager
    def run(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Terminal]]:
        outer, inner = pty.openpty()
        process = subprocess.Popen(
            [*plugin.command, *arguments, *plugin.scope],
            env={**plugin.environment, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
            cwd=plugin.folder,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - the plugin needs it as its controlling terminal for Ctrl-C
        )
        os.close(inner)
        try:
            yield process, Terminal(outer)
        finally:
            process.kill()
            process.wait(15)
            os.close(outer)

    return run


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415 - in the child only
    import termios  # noqa: PLC0415 - in the child only

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_why_reads_engine_events_and_the_restoration_behind_an_animation(plugin, api):
    api.engine("swift", {"running": 2, "waiting": 1}, maxRunning=2, default=True)
    api.engine("other")
    made = api.restore_job("still", waiting("EngineFull", position=1))
    api.animation_job("moves", waiting("WaitingForRestoreJob"), source={"restoreJobName": "still"})
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "still.1", "namespace": api.namespace},
        "regarding": {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "RestoreJob",
            "name": "still",
            "namespace": api.namespace,
            "uid": made["metadata"]["uid"],
        },
        "type": "Warning",
        "reason": "EngineNotFound",
        "note": "There was no Engine swift.",
        "action": "Wait",
        "eventTime": "2026-03-01T12:00:00.000000Z",
        "reportingController": "rekindle.dev/operator",
        "reportingInstance": "test",
    }
    api.kubectl("create", "-f", "-", stdin=json.dumps(event))
    said = plugin("why", "moves")
    assert "ajob/moves  Pending: WaitingForRestoreJob" in said
    assert "It depends on rjob/still:" in said
    assert "rjob/still  Pending: EngineFull" in said
    said = plugin("why", "rjob/still")
    assert "swift, 2 running of at most 2, 1 waiting" in said
    assert "EngineNotFound: There was no Engine swift." in said
    assert f"$ kubectl edit engine swift -n {api.namespace}" in said
    told = json.loads(plugin("why", "rjob/still", "-o", "json"))
    assert (told["job"], told["phase"], told["reason"]) == ("rjob/still", "Pending", "EngineFull")


def test_why_works_with_the_right_to_read_jobs_alone(plugin, api, control_plane, tmp_path):
    api.restore_job("a", waiting("EngineFull"), engineName="swift")
    api.kubectl("create", "role", "reader", "--verb=get,list", "--resource=restorejobs,animationjobs")
    api.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={api.namespace}:default")
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": api.kubectl("create", "token", "default").strip()}
    (tmp_path / "weak").write_text(json.dumps(config))
    said = plugin("why", "a", "--kubeconfig", str(tmp_path / "weak"))
    assert "rjob/a  Pending: EngineFull" in said
    assert "Not read" in said
    assert "Events: You may not do this" in said


@pytest.mark.slow
def test_the_role_of_the_docs_is_enough_for_every_command(plugin, api, control_plane, bucket, tmp_path):
    page = Path(__file__).parents[2].joinpath("docs/kubectl.md").read_text()
    role = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    api.apply(role)
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    api.kubectl("create", "serviceaccount", "user")
    account = f"--serviceaccount={api.namespace}:user"
    api.kubectl("create", "rolebinding", "user", f"--role={role['metadata']['name']}", account)
    config["users"][0]["user"] = {"token": api.kubectl("create", "token", "user").strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    plugin.environment["KUBECONFIG"] = str(tmp_path / "kubeconfig")
    api.engine("swift", default=True)
    plugin("restore", f"s3://{bucket}/a.jpg", "--name", "a", "--no-wait")
    plugin("animate", "rjob/a", "--name", "b", "--no-wait")
    assert "still going on" in plugin("restore", f"s3://{bucket}/a.jpg", "--name", "a", "--timeout", "1s", code=1)
    assert "rjob/a" in plugin("top", "--once")
    assert "Not read" not in plugin("why", "a")
    assert "no container has started" in plugin("logs", "a", code=1)
    plugin("suspend", "a")
    plugin("cancel", "a", "b")
    api.set_status("restorejob", "a", ended(Phase.CANCELLED, "Cancelled"))
    plugin("retry", "a")


def test_top_prints_one_table_of_what_has_not_ended_and_of_all_on_request(plugin, api):
    api.engine("swift", {"running": 1, "waiting": 1}, maxRunning=1, default=True)
    api.restore_job("works", running(40))
    api.animation_job("waits", waiting("EngineFull", position=1), source={"bucket": "photos", "key": "in/a.jpg"})
    api.restore_job("done", ended(Phase.SUCCEEDED, "Completed"))
    rows = [line.split() for line in plugin("top", "--once").splitlines()]
    assert rows[1][:6] == ["swift", "(default)", "Restore", "1", "1", "1"]
    assert [row[0] for row in rows[4:]] == ["rjob/works", "ajob/waits"]
    assert "rjob/done" in plugin("top", "--once", "--all")
    told = json.loads(plugin("top", "--once", "-o", "json"))
    assert [(job["name"], job["percent"], job["position"]) for job in told["jobs"]] == [
        ("works", 40, None),
        ("waits", None, 1),
    ]
    assert told["engines"][0]["limit"] == 1


def test_top_follows_what_happens_and_ends_cleanly_with_ctrl_c(terminal, api):
    api.restore_job("first", running(10))
    api.restore_job("old", ended(Phase.FAILED, "Killed"))
    with terminal("top") as (process, screen):
        screen.until("rjob/first")
        api.engine("late")
        screen.until("late")
        api.set_status("restorejob", "first", running(77))
        screen.until("77%")
        api.restore_job("second")
        screen.until("rjob/second")
        api.set_status("restorejob", "first", ended(Phase.SUCCEEDED, "Completed"))
        screen.until("Succeeded")
        screen.press(b"\x03")
        shown = screen.rest()
        assert process.wait(15) == 0
    assert "Traceback" not in shown
    assert "rjob/old" not in shown


def test_a_restoration_is_followed_with_a_bar_in_a_terminal(terminal, api, photo, bucket, object_store):
    client = object_store.client()
    client.upload_file(str(photo), bucket, "a.jpg")
    with terminal("restore", f"s3://{bucket}/a.jpg", "--name", "bar") as (process, screen):
        screen.until("not seen by the operator yet")
        api.set_status("restorejob", "bar", running(42))
        screen.until("42 %")
        api.set_status("restorejob", "bar", ended(Phase.FAILED, "UnreadableImage"))
        shown = screen.rest()
        assert process.wait(15) == 1
    client.delete_object(Bucket=bucket, Key="a.jpg")
    client.close()
    assert "rjob/bar failed: UnreadableImage, words" in shown


def test_jobs_are_cancelled_suspended_and_resumed_by_their_spec(plugin, api):
    api.restore_job("a")
    api.animation_job("b", source={"bucket": "photos", "key": "in/b.jpg"})
    assert "rjob/a is being suspended" in plugin("suspend", "a", "ajob/b")
    assert api.job("a")["spec"]["suspend"] is True
    assert "rjob/a is suspended already" in plugin("suspend", "a")
    assert "rjob/a goes on" in plugin("resume", "a")
    assert api.job("a")["spec"]["suspend"] is False
    assert "rjob/a is not suspended" in plugin("resume", "a")
    said = plugin("cancel", "nobody", "a", "b", code=1)
    assert "'nobody'" in said
    assert api.job("a")["spec"]["cancel"] is True
    assert api.job("b", "animationjob")["spec"]["cancel"] is True


def test_a_job_that_has_ended_is_left_as_it_is(plugin, api):
    api.restore_job("a", ended(Phase.SUCCEEDED, "Completed"))
    assert "rjob/a has ended already: Succeeded" in plugin("cancel", "a")
    assert "has ended already" in plugin("suspend", "a", code=1)
    assert "only a job that failed or was cancelled is retried" in plugin("retry", "a", code=1)
    assert "cancel" not in api.job("a")["spec"] or api.job("a")["spec"]["cancel"] is False


def test_a_retry_is_made_once_and_again_only_after_it_failed(plugin, api):
    api.restore_job("a", ended(Phase.CANCELLED, "Cancelled"), cancel=True, restore={"tone": 7})
    assert "rjob/a-retry-1 is made; its result goes to s3://photos/out/a-retry-1/" in plugin("retry", "a")
    made = api.job("a-retry-1")["spec"]
    assert (made["restore"]["tone"], made["cancel"]) == (7, False)
    assert "rjob/a-retry-1 exists already" in plugin("retry", "a")
    api.set_status("restorejob", "a-retry-1", ended(Phase.FAILED, "Killed"))
    assert "rjob/a-retry-2 is made" in plugin("retry", "a")
    assert sorted(api.names()) == ["a", "a-retry-1", "a-retry-2"]


def test_a_retry_that_is_followed_ends_with_its_end(plugin, api, eventually):
    api.restore_job("a", ended(Phase.FAILED, "Killed"))
    process = plugin.start("retry", "a", "--wait")
    eventually(lambda: "a-retry-1" in api.names())
    api.set_status("restorejob", "a-retry-1", ended(Phase.SUCCEEDED, "Completed"))
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "✔ rjob/a-retry-1 succeeded" in out


def test_the_last_lines_are_printed_when_the_pod_is_gone(plugin, api):
    attempt = Attempt(number=1, pod_name="pod-1", pod_uid="u", reason="Killed", log_tail=["tile 1", "tile 2"])
    api.restore_job("a", ended(Phase.FAILED, "Killed", attempt=1, attempts=[attempt]))
    process = plugin.start("logs", "a")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "tile 1\ntile 2\n")
    assert "the last lines of pod pod-1 (attempt 1, Killed); the pod is gone" in err


def test_a_job_without_a_log_says_what_it_waits_for(plugin, api):
    api.restore_job("a", waiting("EngineNotFound"))
    said = plugin("logs", "a", code=1)
    assert "no container has started. It stands at EngineNotFound: words" in said
