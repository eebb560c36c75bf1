"""What befalls jobs from outside, on the real API server: pods taken away or refused, and a namespace that goes."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from rekindle_crds import Reason

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]


@pytest.fixture
def api(shared_api):
    return shared_api


def end_of(status: dict[str, Any]) -> tuple[str, str]:
    return status["phase"], str(next(c["reason"] for c in status["conditions"] if c["type"] == "Succeeded"))


def attempts_of(status: dict[str, Any]) -> list[str]:
    return [attempt["reason"] for attempt in status["attempts"] if "reason" in attempt]


@pytest.mark.parametrize("propagation", ["Foreground", "Background", "Orphan"])
def test_a_child_deleted_by_hand_in_any_way_is_followed_by_another_run(api, tmp_path, propagation):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    api.delete("jobs", api.until_running()["run"]["name"], propagationPolicy=propagation)
    api.until(lambda status: status["run"]["number"] == 2, seconds=60)
    go.touch()
    done = api.until_finished(seconds=60)
    assert end_of(done) == ("Succeeded", "Completed")
    assert attempts_of(done) == ["PodDeleted", "Completed"]
    for pod in api.items("pods"):
        api.delete("pods", pod["metadata"]["name"])


def test_a_child_deleted_by_hand_before_it_has_a_pod_is_made_again(api):
    api.engine("complete")
    api.restore(queueName="team-a", backoffLimit=0)
    api.delete("jobs", api.until_waiting("AwaitingQueueAdmission")["run"]["name"])
    again = api.until(lambda status: status["run"]["number"] == 2)
    api.patch("jobs", again["run"]["name"], {"spec": {"suspend": False}})
    assert end_of(api.until_finished()) == ("Succeeded", "Completed")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("DeletionByTaintManager", "NodeLost"),
        ("TerminationByKubelet", "Evicted"),
        ("SomethingNew", "Disrupted"),
    ],
)
def test_a_disruption_has_its_reason_and_costs_no_retry(api, tmp_path, word, reason):
    api.engine("print=half", f"wait={tmp_path / 'never'}")
    api.restore(backoffLimit=0)
    pod = api.until_running()["attempts"][0]["podName"]
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    told = {"reason": word, "message": "by the test", "lastTransitionTime": since}
    condition = {"type": "DisruptionTarget", "status": "True", **told}
    known = api.get("pods", pod)["status"]["conditions"]
    api.patch("pods", pod, {"status": {"conditions": [*known, condition]}}, "status")
    api.delete("pods", pod)
    status = api.until(lambda status: status.get("disruptions") == 1, seconds=60)
    assert attempts_of(status) == [reason]
    assert "failures" not in status
    assert status["attempts"][0]["message"] == "by the test"


@pytest.mark.slow
def test_a_pod_that_makes_room_for_a_more_important_one_is_preempted_and_costs_no_retry(api, control_plane, tmp_path):
    go = tmp_path / "go"
    node = next(node for node in api.client.get("/api/v1/nodes").json()["items"])
    most = {"resources": {"requests": {"cpu": f"{int(node['status']['allocatable']['cpu']) * 600}m"}}}
    classes = {"low": f"{api.namespace}-low", "high": f"{api.namespace}-high"}
    control_plane.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
        for name, value in zip(classes.values(), (10, 1000), strict=True)
    )
    try:
        api.engine(f"wait={go}", "complete", **most)
        api.restore("ordinary", priorityClassName=classes["low"], backoffLimit=0)
        api.until_running("ordinary")
        api.restore("urgent", priorityClassName=classes["high"])
        status = api.until(lambda status: status.get("disruptions") == 1, "ordinary", seconds=60)
        assert attempts_of(status) == ["Preempted"]
        go.touch()
        assert end_of(api.until_finished("urgent", seconds=60)) == ("Succeeded", "Completed")
        assert end_of(api.until_finished("ordinary", seconds=60)) == ("Succeeded", "Completed")
    finally:
        for name in classes.values():
            control_plane.kubectl("delete", "priorityclass", name)


def test_a_container_that_needs_more_memory_than_its_limit_says_so(api):
    api.engine("print=hungry", "eat=300", resources={"limits": {"memory": "100Mi"}})
    api.restore(backoffLimit=0)
    status = api.until_finished()
    assert end_of(status) == ("Failed", "OutOfMemory")
    assert status["attempts"][0]["logTail"] == ["hungry"]


def test_a_job_whose_image_cannot_be_pulled_fails_at_its_start_deadline(api):
    api.engine(image="nowhere.invalid/engine:1", command=[])
    api.restore(startDeadlineSeconds=10)
    api.until_waiting("ImagePullFailed")
    assert end_of(api.until_finished()) == ("Failed", "StartDeadlineExceeded")


@pytest.mark.slow
def test_pods_beyond_a_quota_are_told_and_made_when_it_is_raised(api, eventually):
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    api.create("resourcequotas", quota)
    eventually(lambda: api.get("resourcequotas", "none").get("status", {}).get("hard"))
    try:
        api.engine("complete")
        api.restore()
        waiting = api.until_waiting("QuotaExceeded", seconds=60)
        assert "pods=0" in waiting["waiting"]["message"]
        assert waiting["phase"] == "Pending"
    finally:
        api.delete("resourcequotas", "none")
    assert end_of(api.until_finished(seconds=120)) == ("Succeeded", "Completed")


@pytest.mark.slow
def test_a_pod_that_admission_refuses_is_told_and_made_once_it_is_allowed(api):
    limits = {"type": "Container", "max": {"memory": "64Mi"}}
    api.create("limitranges", {"metadata": {"name": "small"}, "spec": {"limits": [limits]}})
    try:
        api.engine("complete", resources={"limits": {"memory": "200Mi"}})
        api.restore()
        waiting = api.until_waiting("PodRefused", seconds=60)
        assert "maximum memory usage" in waiting["waiting"]["message"]
    finally:
        api.delete("limitranges", "small")
    assert end_of(api.until_finished(seconds=120)) == ("Succeeded", "Completed")


@pytest.mark.slow
def test_a_namespace_that_is_deleted_goes_with_its_jobs_and_harms_no_other(
    api, control_plane, shared_operator, tmp_path, eventually
):
    doomed = type(api)(control_plane, f"{api.namespace}-doomed")
    control_plane.create_namespace(doomed.namespace)
    shared_operator.kill()
    before = shared_operator.namespace
    shared_operator.start(namespaces=f"{before},{doomed.namespace}")
    doomed.engine(f"wait={tmp_path / 'never'}", maxRunning=2)
    for name in ("first", "second", "third"):
        doomed.restore(name)
    doomed.until_running("second")
    doomed.until_waiting("EngineFull", "third")
    control_plane.kubectl("delete", "namespace", doomed.namespace, "--wait=false")
    gone = f"/api/v1/namespaces/{doomed.namespace}"
    eventually(lambda: doomed.client.get(gone).status_code == 404, seconds=120)
    doomed.client.close()
    api.engine("complete")
    api.restore()
    assert end_of(api.until_finished()) == ("Succeeded", "Completed")
    assert httpx.get(f"{shared_operator.url}/healthz", timeout=60).status_code == 200
    complaints = [line for line in shared_operator.lines() if line["level"] in {"warning", "error"}]
    assert before not in {line.get("namespace") for line in complaints}, complaints
    # Events in it are refused: up to four for each job, by what goes first of its pod, child, account and Engine.
    assert len(complaints) <= 12, complaints
    shared_operator.kill()
    shared_operator.start()


SOURCES = ("operator/rekindle_operator", "operator/rekindle_worker", "crds/rekindle_crds")


def test_every_reason_is_given_by_some_code_and_documented(pytestconfig):
    texts = [
        path.read_text()
        for folder in SOURCES
        for path in sorted((pytestconfig.rootpath / folder).rglob("*.py"))
        if path.name != "reasons.py"
    ]
    code = "\n".join(texts)
    documented = (pytestconfig.rootpath / "docs/reference/reasons.md").read_text()
    assert [reason.name for reason in Reason if f"Reason.{reason.name}" not in code] == []
    assert [reason for reason in Reason if f"| `{reason}` | {reason.meaning} |" not in documented] == []
