"""Jobs that Kueue admits, on the real API server: the test flips spec.suspend of the child as Kueue does."""

from typing import Any

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]

QUEUE = "kueue.x-k8s.io/queue-name"


@pytest.fixture
def api(shared_api):
    return shared_api


def end_of(status: dict[str, Any]) -> tuple[str, str]:
    return status["phase"], str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def child_of(api, name="photo"):
    return api.get("jobs", api.until(lambda status: "run" in status, name)["run"]["name"])


def admit(api, name="photo", *, taken_back=False):
    """Do what Kueue does when it admits a Job, or takes its place back."""
    api.patch("jobs", child_of(api, name)["metadata"]["name"], {"spec": {"suspend": taken_back}})


def test_a_queued_job_waits_for_its_admission_and_then_runs(api):
    api.engine("complete")
    api.restore(queueName="team-a")
    queued = api.until_waiting("AwaitingQueueAdmission")
    assert queued["phase"] == "Queued"
    child = child_of(api)
    assert (child["metadata"]["labels"][QUEUE], child["spec"]["suspend"]) == ("team-a", True)
    assert api.items("pods") == []
    admit(api)
    done = api.until_finished()
    assert end_of(done) == ("Succeeded", "Completed")
    assert child_of(api)["spec"]["suspend"] is False


def test_a_place_that_the_queue_takes_back_costs_no_retry(api, tmp_path):
    go = tmp_path / "go"
    api.engine("print=half", "progress=repair:50", f"wait={go}", "complete")
    api.restore(queueName="team-a", backoffLimit=0)
    admit(api)
    api.until(lambda status: status.get("progress", {}).get("percent") == 50)
    admit(api, taken_back=True)
    queued = api.until_waiting("AwaitingQueueAdmission", seconds=60)
    assert queued["phase"] == "Queued"
    assert [attempt["reason"] for attempt in queued["attempts"]] == ["Preempted"]
    assert "failures" not in queued
    go.touch()
    admit(api)
    done = api.until_finished(seconds=60)
    assert end_of(done) == ("Succeeded", "Completed")
    assert [attempt["reason"] for attempt in done["attempts"]] == ["Preempted", "Completed"]


def test_a_queued_job_can_be_cancelled_suspended_and_given_up(api, eventually):
    api.engine("complete")
    api.restore("late", queueName="team-a", startDeadlineSeconds=3)
    for name in ("cancelled", "suspended"):
        api.restore(name, queueName="team-a")
        api.until_waiting("AwaitingQueueAdmission", name)
    api.patch("restorejobs", "cancelled", {"spec": {"cancel": True}})
    api.patch("restorejobs", "suspended", {"spec": {"suspend": True}})
    assert end_of(api.until_finished("cancelled")) == ("Cancelled", "Cancelled")
    assert end_of(api.until_finished("late")) == ("Failed", "StartDeadlineExceeded")
    api.until(lambda status: status["phase"] == "Suspended", "suspended")
    eventually(lambda: not api.items("jobs"))
    api.patch("restorejobs", "suspended", {"spec": {"suspend": False}})
    again = api.until_waiting("AwaitingQueueAdmission", "suspended")
    assert again["run"]["number"] == 2


def test_a_running_job_of_a_queue_can_be_cancelled(api, tmp_path):
    api.engine("print=half", f"wait={tmp_path / 'never'}")
    api.restore(queueName="team-a")
    admit(api)
    api.until_running()
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})
    status = api.until_finished()
    assert end_of(status) == ("Cancelled", "Cancelled")
    assert [attempt["reason"] for attempt in status["attempts"]] == ["Cancelled"]


def test_jobs_of_a_queue_take_no_place_and_wait_for_none(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", maxRunning=1)
    api.restore("own")
    api.until_running("own")
    api.restore("queued", queueName="team-a")
    admit(api, "queued")
    api.until_running("queued")
    api.restore("third")
    api.until_waiting("EngineFull", "third")
    api.patch("restorejobs", "own", {"spec": {"queueName": "team-a"}})
    api.until(lambda status: status["observedGeneration"] == 2, "own")
    assert api.status("third")["waiting"]["reason"] == "EngineFull"
    go.touch()
    for name in ("own", "queued", "third"):
        assert api.until_finished(name)["phase"] == "Succeeded"


def test_an_engine_counts_a_job_of_a_queue_as_waiting_until_it_is_admitted(api):
    api.engine("complete")
    api.restore(queueName="team-a")
    api.until_waiting("AwaitingQueueAdmission")
    counts = api.until_engine(lambda status: status.get("waiting") == 1)
    assert counts["running"] == 0


def test_an_operator_that_restarts_leaves_the_queue_its_decisions(api, shared_operator, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore("waits", queueName="team-a")
    api.restore("runs", queueName="team-a")
    api.until_waiting("AwaitingQueueAdmission", "waits")
    admit(api, "runs")
    api.until_running("runs")
    before = {job["metadata"]["name"]: job["metadata"]["generation"] for job in api.items("jobs")}
    shared_operator.kill()
    shared_operator.start()
    go.touch()
    assert api.until_finished("runs")["phase"] == "Succeeded"
    assert {job["metadata"]["name"]: job["metadata"]["generation"] for job in api.items("jobs")} == before
    assert api.status("waits")["waiting"]["reason"] == "AwaitingQueueAdmission"
