"""Stopping, deadlines and other people's hands, on the real API server."""

import json
from typing import Any

import pytest

from rekindle_operator.core.child import child_name

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]


def reason_of(status: dict[str, Any]) -> str:
    return str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def cancel(api):
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})


@pytest.mark.usefixtures("operator")
def test_a_job_that_waits_for_its_engine_can_be_cancelled(api):
    api.restore()
    api.until_waiting("EngineNotFound")
    cancel(api)
    status = api.until_finished()
    assert (status["phase"], reason_of(status)) == ("Cancelled", "Cancelled")
    assert "waiting" not in status
    assert api.items("jobs") == []


@pytest.mark.usefixtures("operator")
def test_a_job_made_cancelled_never_gets_a_child(api):
    api.engine("complete")
    api.restore(cancel=True)
    assert api.until_finished()["phase"] == "Cancelled"
    assert api.items("jobs") == []


@pytest.mark.usefixtures("operator")
def test_a_job_whose_pod_waits_can_be_cancelled(api, eventually):
    api.engine("complete", nodeSelector={"disk": "none-such"})
    api.restore()
    api.until_waiting("Unschedulable")
    cancel(api)
    assert api.until_finished()["phase"] == "Cancelled"
    eventually(lambda: not api.items("jobs") and not api.items("pods"))


@pytest.mark.usefixtures("operator")
def test_a_cancelled_job_keeps_its_attempt_and_its_last_log_lines(api, eventually, tmp_path):
    api.engine("print=half way through", "progress=repair:50", f"wait={tmp_path / 'never'}")
    api.restore()
    api.until(lambda status: status.get("progress", {}).get("percent") == 50)
    cancel(api)
    status = api.until_finished(seconds=60)
    assert status["phase"] == "Cancelled"
    [attempt] = status["attempts"]
    assert attempt["reason"] == "Cancelled"
    assert attempt["logTail"] == ["half way through"]
    assert status["progress"]["percent"] == 50
    eventually(lambda: not api.items("jobs") and not api.items("pods"))
    api.until_noticed("Normal", "Cancelled")


@pytest.mark.usefixtures("operator")
def test_an_engine_that_stops_well_has_the_last_word_of_a_cancelled_job(api, tmp_path):
    api.engine("graceful", "print=working", "progress=repair:50", f"wait={tmp_path / 'never'}")
    api.restore()
    api.until(lambda status: status.get("progress", {}).get("percent") == 50)
    cancel(api)
    [attempt] = api.until_finished(seconds=60)["attempts"]
    assert (attempt["reason"], attempt["exitCode"], attempt["message"]) == ("Cancelled", 20, "asked to stop")
    assert attempt["logTail"] == ["stopping well"]


@pytest.mark.usefixtures("operator")
def test_a_job_that_backs_off_can_be_cancelled(api):
    api.engine("print=boom", "exit=3")
    api.restore()
    api.until_waiting("Retrying")
    cancel(api)
    status = api.until_finished()
    assert status["phase"] == "Cancelled"
    assert [attempt["reason"] for attempt in status["attempts"]] == ["EngineError"]
    assert status["attempts"][0]["logTail"] == ["boom"]


@pytest.mark.usefixtures("operator")
def test_cancel_after_the_end_changes_nothing_but_the_generation(api, control_plane, namespace):
    api.engine("complete")
    api.restore()
    before = api.until_finished()
    cancel(api)
    after = api.until(lambda status: status["observedGeneration"] == 2)
    for written in (after, *after["conditions"]):
        written["observedGeneration"] -= 1
    assert after == before
    wait = ("wait", "rjob/photo", "--for=condition=Finished", "--timeout=60s", f"--namespace={namespace}")
    assert "condition met" in control_plane.kubectl(*wait)


@pytest.mark.usefixtures("operator")
def test_a_job_that_does_not_start_in_time_fails_and_leaves_no_pod(api, eventually):
    api.engine("complete", nodeSelector={"disk": "none-such"})
    api.restore(startDeadlineSeconds=2)
    assert reason_of(api.until_finished()) == "StartDeadlineExceeded"
    eventually(lambda: not api.items("jobs") and not api.items("pods"))


@pytest.mark.usefixtures("operator")
def test_a_job_without_an_engine_fails_at_its_start_deadline(api):
    api.restore(startDeadlineSeconds=1)
    assert reason_of(api.until_finished()) == "StartDeadlineExceeded"


@pytest.mark.usefixtures("operator")
def test_a_job_that_runs_too_long_is_stopped_with_its_log_lines(api, tmp_path):
    api.engine("print=slow", "progress=repair:50", f"wait={tmp_path / 'never'}")
    api.restore()
    api.until(lambda status: status.get("progress", {}).get("percent") == 50)
    api.patch("restorejobs", "photo", {"spec": {"activeDeadlineSeconds": 1}})
    status = api.until_finished(seconds=60)
    assert reason_of(status) == "ActiveDeadlineExceeded"
    [attempt] = status["attempts"]
    assert (attempt["reason"], attempt["logTail"]) == ("ActiveDeadlineExceeded", ["slow"])
    assert status["activeSeconds"] >= 1


@pytest.mark.usefixtures("operator")
def test_a_child_that_somebody_deletes_is_followed_by_another_run(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    run = api.until_running()["run"]
    api.delete("jobs", run["name"])
    second = api.until(lambda status: status["run"]["number"] == 2, seconds=60)
    assert second["attempts"][0]["reason"] == "PodDeleted"
    go.touch()
    done = api.until_finished(seconds=60)
    assert done["phase"] == "Succeeded"
    assert [attempt["number"] for attempt in done["attempts"]] == [1, 2]
    api.until_noticed("Warning", "ChildLost")


@pytest.mark.usefixtures("operator")
def test_a_child_that_somebody_deletes_fails_a_job_without_retries(api, tmp_path):
    api.engine(f"wait={tmp_path / 'never'}")
    api.restore(backoffLimit=0)
    run = api.until_running()["run"]
    api.delete("jobs", run["name"])
    assert reason_of(api.until_finished(seconds=60)) == "ChildLost"


@pytest.mark.slow
@pytest.mark.usefixtures("operator")
def test_a_pod_that_somebody_deletes_is_an_attempt_and_another_pod_follows(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    pod = api.until_running()["attempts"][0]["podName"]
    api.delete("pods", pod)
    api.until(lambda status: status["attempts"][0].get("reason") == "PodDeleted", seconds=60)
    go.touch()
    done = api.until_finished(seconds=90)
    assert [attempt["reason"] for attempt in done["attempts"]] == ["PodDeleted", "Completed"]


@pytest.mark.slow
@pytest.mark.usefixtures("operator")
def test_an_evicted_pod_costs_no_retry(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore(backoffLimit=0)
    pod = api.until_running()["attempts"][0]["podName"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": api.namespace}}
    api.client.post(api.path("pods", pod, "eviction"), json=eviction).raise_for_status()
    disrupted = api.until(lambda status: status.get("disruptions") == 1, seconds=60)
    assert disrupted["attempts"][0]["reason"] == "Evicted"
    go.touch()
    assert api.until_finished(seconds=90)["phase"] == "Succeeded"


def test_somebody_elses_job_under_the_childs_name_fails_the_job(api, stopped_operator):
    api.engine("complete")
    job = api.restore()
    name = child_name("photo", "r", job["metadata"]["uid"], 1)
    pod = {"restartPolicy": "Never", "containers": [{"name": "other", "image": "other"}]}
    api.create("jobs", {"metadata": {"name": name}, "spec": {"suspend": True, "template": {"spec": pod}}})
    stopped_operator.start()
    assert reason_of(api.until_finished()) == "ChildConflict"


@pytest.mark.usefixtures("operator")
def test_a_quota_makes_a_job_wait_and_is_tried_again(api, control_plane, namespace):
    control_plane.kubectl("create", "quota", "none", "--hard=count/jobs.batch=0", "-n", namespace)
    control_plane.kubectl(
        "wait", "--for=jsonpath={.status.hard.count/jobs\\.batch}=0", "quota/none", "-n", namespace, "--timeout=30s"
    )
    api.engine("complete")
    api.restore()
    assert "exceeded quota" in api.until_waiting("QuotaExceeded")["waiting"]["message"]
    control_plane.kubectl("delete", "quota", "none", "-n", namespace)
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"


@pytest.mark.usefixtures("operator")
def test_an_engine_that_makes_no_valid_pod_fails_the_job_with_the_servers_words(api):
    api.engine("complete", tolerations=[{"operator": "Exists", "value": "both"}])
    api.restore()
    status = api.until_finished()
    assert reason_of(status) == "ChildRefused"
    assert "tolerations" in json.dumps(status["conditions"])


@pytest.mark.usefixtures("operator")
def test_a_change_of_engine_takes_effect_as_long_as_no_pod_was_made(api, control_plane, namespace):
    control_plane.kubectl("create", "quota", "none", "--hard=pods=0", "-n", namespace)
    control_plane.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "quota/none", "-n", namespace)
    api.engine("exit=3", name="first")
    api.engine("complete", name="second", default=False)
    api.restore(engineName="first")
    api.until(lambda status: status.get("waiting", {}).get("reason") in {"WaitingForPod", "QuotaExceeded"})
    api.patch("restorejobs", "photo", {"spec": {"engineName": "second"}})
    api.until(lambda status: status["run"]["number"] == 2 and status["engineName"] == "second")
    control_plane.kubectl("delete", "quota", "none", "-n", namespace)


def test_a_bucket_that_is_not_allowed_fails_the_job(api, stopped_operator):
    stopped_operator.start(allowed_buckets="elsewhere, another")
    api.engine("complete")
    api.restore()
    status = api.until_finished()
    assert reason_of(status) == "BucketNotAllowed"
    assert api.items("jobs") == []


def test_a_service_account_that_is_not_allowed_makes_the_job_wait(api, stopped_operator):
    stopped_operator.start(allowed_service_accounts="worker")
    api.engine("complete", serviceAccountName="admin")
    api.restore()
    assert "admin" in api.until_waiting("ServiceAccountNotAllowed")["waiting"]["message"]
