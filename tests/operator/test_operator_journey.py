"""RestoreJobs on the real API server: from the first write to the last."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node", "operator")]


def truths(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def reason_of(status: dict[str, Any]) -> str:
    return str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def test_a_job_succeeds_and_its_status_tells_the_whole_story(api, tmp_path):
    go = tmp_path / "go"
    api.engine("print=hello", "progress=repair:40", f"wait={go}", "complete")
    job = api.restore()

    running = api.until(lambda status: status.get("progress", {}).get("stage") == "repair")
    assert running["phase"] == "Running"
    assert running["progress"] == {"percent": 40, "stage": "repair"}
    assert truths(running) == {
        "Finished": "False",
        "Succeeded": "Unknown",
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
    }
    go.touch()

    done = api.until_finished()
    assert done["phase"] == "Succeeded"
    assert truths(done) == {
        "Finished": "True",
        "Succeeded": "True",
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }
    assert done["observedGeneration"] == job["metadata"]["generation"]
    [attempt] = done["attempts"]
    assert (attempt["reason"], attempt["exitCode"], done["attempt"]) == ("Completed", 0, 1)
    assert done["result"]["outputs"][0]["key"] == f"results/photo/{attempt['podUid']}/result.jpg"
    assert done["run"]["uid"] == api.items("jobs")[0]["metadata"]["uid"]
    assert done["engineName"] == "scripted"
    assert "waiting" not in done
    assert api.until_noticed("Normal", "Completed") == [("Normal", "Running"), ("Normal", "Completed")]


def versions_since(api, resource, written):
    """What was written of an object since it was as given."""
    since = {"watch": "1", "resourceVersion": written["metadata"]["resourceVersion"], "timeoutSeconds": "2"}
    with api.client.stream("GET", api.path(resource), params=since) as stream:
        return [json.loads(line)["object"] for line in stream.iter_lines()]


def test_an_undisturbed_job_costs_one_create_two_status_writes_and_two_events(api, operator, eventually, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    engine = eventually(lambda: (seen := api.get("engines", "scripted"))["status"].get("conditions") and seen)
    before = eventually(operator.writes)
    job = api.restore()
    api.until_running()
    go.touch()
    assert len(api.until_noticed("Normal", "Completed")) == 2
    eventually(lambda: operator.metric("rekindle_events_posted_total") == 2)
    writes = operator.writes() - before
    written = [version["status"] for version in versions_since(api, "restorejobs", job)]
    waits = [status for status in written if status["phase"] == "Pending"]
    assert [status["phase"] for status in written[len(waits) :]] == ["Running", "Succeeded"]
    [child] = api.items("jobs")
    # Only a pod that does not run within five seconds is reported as waiting first.
    due = datetime.fromisoformat(child["metadata"]["creationTimestamp"]) + timedelta(seconds=5)
    assert all(datetime.fromisoformat(status["conditions"][0]["lastTransitionTime"]) >= due for status in waits)
    # A slow run takes longer than the period after which an Engine's counts are written.
    assert writes - (1 + len(written) + 2) in range(len(versions_since(api, "engines", engine)) + 1)


def test_a_restart_with_nothing_changed_writes_nothing(api, operator, tmp_path, eventually):
    api.engine("progress=repair:40", f"wait={tmp_path / 'never'}")
    api.restore("running")
    api.restore("waiting", engineName="missing")
    api.restore("cancelled", cancel=True)
    api.until(lambda status: status.get("progress", {}).get("percent") == 40, "running")
    api.until_waiting("EngineNotFound", "waiting")
    api.until_finished("cancelled")
    eventually(lambda: api.get("engines", "scripted")["status"].get("running") == 1)
    before = {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in api.items("restorejobs")}

    assert operator.stop() == 0
    operator.start()
    polled = 'rekindle_api_requests_total{code="200",verb="GET"}'

    def has_polled_twice() -> bool:
        lines = operator.metrics().splitlines()
        return any(line.startswith(polled) and float(line.rsplit(" ", 1)[1]) > 20 for line in lines)

    eventually(has_polled_twice)
    after = {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in api.items("restorejobs")}
    assert after == before
    assert operator.writes() == 0


def test_a_job_waits_for_its_engine_and_starts_when_it_appears(api):
    api.restore(engineName="late")
    waiting = api.until_waiting("EngineNotFound")
    assert waiting["phase"] == "Pending"
    assert "late" in waiting["waiting"]["message"]
    assert truths(waiting)["Succeeded"] == "Unknown"
    assert api.items("jobs") == []
    api.engine("complete", name="late", default=False)
    assert api.until_finished()["phase"] == "Succeeded"


def test_a_job_waits_while_its_engine_does_not_offer_the_operation(api):
    api.engine("complete", operations=["Animate"])
    api.restore(engineName="scripted")
    api.until_waiting("EngineMismatch")
    api.patch("engines", "scripted", {"spec": {"operations": ["Animate", "Restore"]}})
    assert api.until_finished()["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("code", "reason"), [(10, "SourceNotFound"), (11, "UnreadableImage"), (12, "SourceForbidden"), (17, "InputRefused")]
)
def test_a_fault_of_the_input_fails_at_once_with_its_reason(api, code, reason):
    told = json.dumps({"reason": reason, "message": "the engine says why"})
    api.engine("print=looking", f"tell={told}", f"exit={code}")
    api.restore(backoffLimit=5)
    failed = api.until_finished()
    assert failed["phase"] == "Failed"
    assert truths(failed)["Succeeded"] == "False"
    assert truths(failed)["Stalled"] == "True"
    assert reason_of(failed) == reason
    [attempt] = failed["attempts"]
    assert attempt["message"] == "the engine says why"
    assert attempt["logTail"] == ["looking"]
    assert attempt["exitCode"] == code
    api.until_noticed("Warning", reason)


@pytest.mark.slow
def test_a_transient_failure_is_retried_and_told_as_an_attempt(api, tmp_path):
    api.engine("print=trying", f"fail-once={tmp_path / 'tried'}:21", "complete")
    api.restore()
    retrying = api.until_waiting("Retrying")
    assert "StorageUnavailable" in retrying["waiting"]["message"]
    done = api.until_finished(seconds=60)
    assert [attempt["reason"] for attempt in done["attempts"]] == ["StorageUnavailable", "Completed"]
    assert done["attempts"][0]["logTail"] == ["trying"]
    assert done["attempt"] == 2
    api.until_noticed("Warning", "StorageUnavailable")


def test_a_job_without_retries_fails_with_the_reason_of_its_attempt(api):
    api.engine("print=boom", "exit=3")
    api.restore(backoffLimit=0)
    failed = api.until_finished()
    assert reason_of(failed) == "EngineError"
    assert failed["attempts"][0]["logTail"] == ["boom"]


@pytest.mark.parametrize("told", ["", "not json", '{"reason": "Completed"}'])
def test_an_engine_that_leaves_no_valid_result_fails_the_job(api, told):
    api.engine(f"tell={told}")
    api.restore()
    assert reason_of(api.until_finished()) == "ResultMissing"


def test_a_result_outside_the_prefix_of_the_job_is_no_result(api):
    api.engine("complete=results/somebody-else")
    api.restore()
    assert reason_of(api.until_finished()) == "ResultMissing"


def test_an_image_that_cannot_be_pulled_is_told_and_waited_for(api):
    api.engine(image="nowhere.invalid/engine:1", command=[])
    api.restore()
    waiting = api.until_waiting("ImagePullFailed")
    assert "nowhere.invalid/engine:1" in waiting["waiting"]["message"]
    assert waiting["phase"] == "Pending"


def test_a_missing_secret_is_told_and_waited_for(api):
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "token"}}}
    api.engine("complete", env=[secret])
    api.restore()
    assert "absent" in api.until_waiting("ContainerConfigError")["waiting"]["message"]


def test_a_pod_that_no_node_can_take_is_told_in_the_words_of_the_scheduler(api):
    api.engine("complete", nodeSelector={"disk": "none-such"})
    api.restore()
    assert "node" in api.until_waiting("Unschedulable")["waiting"]["message"]


def test_the_child_passes_pod_security_restricted_and_belongs_to_its_job(api, control_plane, namespace):
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    api.engine("complete")
    job = api.restore("a" * 240)
    assert api.until_finished("a" * 240)["phase"] == "Succeeded"
    [child] = api.items("jobs")
    assert len(child["metadata"]["name"]) <= 63
    assert job["metadata"]["uid"][:8] in child["metadata"]["name"]
    [owner] = child["metadata"]["ownerReferences"]
    assert owner["uid"] == job["metadata"]["uid"]
    assert owner["controller"]
    assert owner["blockOwnerDeletion"]
    pod = child["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert child["spec"]["podReplacementPolicy"] == "Failed"
    assert [rule["action"] for rule in child["spec"]["podFailurePolicy"]["rules"]] == ["FailJob", "Ignore"]


def test_sigkill_at_any_moment_leaves_one_child_and_one_end(api, operator, tmp_path: Path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    operator.kill()
    operator.start()
    api.until_running()
    operator.kill()
    go.touch()
    operator.start()
    done = api.until_finished()
    assert done["phase"] == "Succeeded"
    assert [attempt["reason"] for attempt in done["attempts"]] == ["Completed"]
    assert len(api.items("jobs")) == 1


def test_deleting_a_job_takes_its_child_and_pods_with_it(api, tmp_path, eventually):
    api.engine(f"wait={tmp_path / 'never'}")
    api.restore()
    api.until_running()
    api.delete("restorejobs", "photo")
    eventually(lambda: not api.items("jobs") and not api.items("pods"))
