"""Suspension and resumption in every state, on the real API server."""

from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]


@pytest.fixture
def api(shared_api):
    return shared_api


def reason_of(status: dict[str, Any]) -> str:
    return str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def suspend(api, name="photo", *, on=True):
    api.patch("restorejobs", name, {"spec": {"suspend": on}})


def resume(api, name="photo"):
    suspend(api, name, on=False)


def until_suspended(api, name="photo"):
    return api.until(lambda status: status.get("phase") == "Suspended", name, seconds=60)


def test_a_job_made_suspended_starts_when_it_is_resumed(api):
    api.engine("complete")
    api.restore(suspend=True)
    suspended = until_suspended(api)
    assert reason_of(suspended) == "Suspended"
    assert suspended["suspension"]["count"] == 1
    assert "waiting" not in suspended
    assert api.items("jobs") == []
    resume(api)
    done = api.until_finished()
    assert (done["phase"], done["run"]["number"]) == ("Succeeded", 1)
    assert "since" not in done["suspension"]


def test_a_job_that_waits_for_its_engine_can_be_suspended(api):
    api.restore()
    api.until_waiting("EngineNotFound")
    suspend(api)
    until_suspended(api)
    api.engine("complete")
    resume(api)
    assert api.until_finished()["phase"] == "Succeeded"


def test_a_running_job_that_is_suspended_keeps_its_log_and_its_retries_and_runs_again(api, tmp_path, eventually):
    go = tmp_path / "go"
    api.engine("print=half way through", "progress=repair:50", f"wait={go}", "complete")
    api.restore("portrait", backoffLimit=0)
    api.until(lambda status: status.get("progress", {}).get("percent") == 50, "portrait")
    suspend(api, "portrait")
    suspended = until_suspended(api, "portrait")
    [attempt] = suspended["attempts"]
    assert (attempt["reason"], attempt["logTail"]) == ("Suspended", ["half way through"])
    assert suspended["run"]["stopped"]
    assert "failures" not in suspended
    assert api.items("jobs") == []
    assert api.items("pods") == []
    resume(api, "portrait")
    api.until_running("portrait")
    go.touch()
    done = api.until_finished("portrait", seconds=60)
    assert [attempt["reason"] for attempt in done["attempts"]] == ["Suspended", "Completed"]
    assert done["run"]["number"] == 2
    assert "stopped" not in done["run"]
    eventually(lambda: api.notices("portrait")[-1:] == [("Normal", "Completed")])
    told = [reason for _, reason in api.notices("portrait")]
    assert told == ["Running", "Suspended", "Resumed", "Running", "Completed"]


def test_an_engine_that_stops_well_and_fails_so_loses_no_retry_by_a_suspension(api, tmp_path):
    go = tmp_path / "go"
    api.engine("graceful", "print=working", "progress=repair:50", f"wait={go}", "complete")
    api.restore(backoffLimit=0)
    api.until(lambda status: status.get("progress", {}).get("percent") == 50)
    suspend(api)
    [attempt] = until_suspended(api)["attempts"]
    assert (attempt["reason"], attempt["exitCode"]) == ("Suspended", 20)
    go.touch()
    resume(api)
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"


def test_a_suspension_taken_back_at_once_ends_in_success(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore(backoffLimit=0)
    api.until_running()
    suspend(api)
    api.until(lambda status: reason_of(status) in {"Suspending", "Suspended"})
    resume(api)
    api.until(lambda status: status["run"]["number"] == 2, seconds=60)
    go.touch()
    done = api.until_finished(seconds=60)
    assert done["phase"] == "Succeeded"
    assert [attempt["reason"] for attempt in done["attempts"]] == ["Suspended", "Completed"]


def test_a_suspended_job_can_be_cancelled(api, tmp_path):
    api.engine(f"wait={tmp_path / 'never'}")
    api.restore()
    api.until_running()
    suspend(api)
    until_suspended(api)
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})
    status = api.until_finished()
    assert (status["phase"], reason_of(status)) == ("Cancelled", "Cancelled")
    assert [attempt["reason"] for attempt in status["attempts"]] == ["Suspended"]


def test_suspended_time_does_not_count_for_the_start_deadline(api):
    created = api.restore(suspend=True, startDeadlineSeconds=2)["metadata"]["creationTimestamp"]
    until_suspended(api)
    api.until(lambda status: elapsed(status["suspension"]["since"]) >= 3)
    resume(api)
    status = api.until_finished()
    assert reason_of(status) == "StartDeadlineExceeded"
    assert status["suspension"]["seconds"] >= 3
    lived = datetime.fromisoformat(status["completionTime"]) - datetime.fromisoformat(created)
    assert lived.total_seconds() >= 2 + status["suspension"]["seconds"]


def elapsed(since: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()


def test_the_active_deadline_counts_the_runs_before_and_after_a_suspension(api, tmp_path):
    api.engine("print=slow", f"wait={tmp_path / 'never'}")
    api.restore(activeDeadlineSeconds=10)
    first = api.until_running()["attempts"][0]["startTime"]
    api.until(lambda _: elapsed(first) >= 3)
    suspend(api)
    suspended = until_suspended(api)
    assert suspended["activeSeconds"] >= 2
    resume(api)
    status = api.until_finished(seconds=60)
    assert reason_of(status) == "ActiveDeadlineExceeded"
    last = status["attempts"][-1]
    assert last["reason"] == "ActiveDeadlineExceeded"
    assert status["activeSeconds"] >= 10


def test_an_operator_that_restarts_keeps_a_suspension_and_its_resumption(api, shared_operator, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    api.until_running()
    shared_operator.kill()
    suspend(api)
    shared_operator.start()
    before = until_suspended(api)
    shared_operator.kill()
    shared_operator.start()
    assert api.status() == before
    shared_operator.kill()
    resume(api)
    go.touch()
    shared_operator.start()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"


def test_a_job_that_retries_can_be_suspended_and_keeps_count_of_its_failures(api, tmp_path):
    api.engine("print=boom", f"fail-once={tmp_path / 'tried'}:3", "complete")
    api.restore(backoffLimit=1)
    api.until_waiting("Retrying")
    suspend(api)
    suspended = until_suspended(api)
    assert suspended["failures"] == 1
    resume(api)
    done = api.until_finished(seconds=60)
    assert [attempt["reason"] for attempt in done["attempts"]] == ["EngineError", "Completed"]


def test_a_job_whose_pod_waits_can_be_suspended(api):
    api.engine("complete", nodeSelector={"disk": "none-such"})
    api.restore()
    api.until_waiting("Unschedulable")
    suspend(api)
    assert "failures" not in until_suspended(api)
    assert api.items("jobs") == []
    api.patch("engines", "scripted", {"spec": {"nodeSelector": None}})
    resume(api)
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"


def test_a_finished_job_that_is_suspended_stays_as_it_ended(api):
    api.engine("complete")
    api.restore()
    api.until_finished()
    suspend(api)
    after = api.until(lambda status: status["observedGeneration"] == 2)
    assert after["phase"] == "Succeeded"


@pytest.mark.slow
def test_a_job_may_be_suspended_more_often_than_its_child_may_be_lost(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore(backoffLimit=0)
    for count in range(1, 23):
        api.until(lambda status: status.get("phase") == "Running", seconds=60)
        suspend(api)
        assert until_suspended(api)["suspension"]["count"] == count
        resume(api)
    go.touch()
    done = api.until_finished(seconds=60)
    assert (done["phase"], done["run"]["number"]) == ("Succeeded", 23)
