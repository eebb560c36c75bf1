"""Admission by maxRunning, on the real API server: limits that hold at every moment, order, and words for waiting."""

import json
import threading
from contextlib import contextmanager
from typing import Any

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]

OWNER = "rekindle.dev/owner"


@pytest.fixture
def api(shared_api):
    return shared_api


class Crowd:
    """How many pods have not ended, now and at most, by the word of the API server."""

    def __init__(self) -> None:
        self.most = 0
        self._alive: set[str] = set()

    def see(self, event) -> None:
        pod = event["object"]
        ended = event["type"] == "DELETED" or pod["status"]["phase"] in {"Succeeded", "Failed"}
        (self._alive.discard if ended else self._alive.add)(pod["metadata"]["uid"])
        self.most = max(self.most, len(self._alive))


@contextmanager
def crowd_of(api):
    """Watch the pods of a namespace."""
    crowd, stream = Crowd(), api.client.stream("GET", api.path("pods"), params={"watch": "1"}, timeout=None)
    with stream as answer:
        lines = answer.iter_lines()
        stop = threading.Event()

        def follow() -> None:
            for line in lines:
                crowd.see(json.loads(line))
                if stop.is_set():
                    return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield crowd
        finally:
            stop.set()
            api.create("pods", LAST_POD)
            thread.join(60)
    api.delete("pods", "last", gracePeriodSeconds=0)


LAST_POD: dict[str, Any] = {
    "metadata": {"name": "last"},
    "spec": {"nodeSelector": {"disk": "none-such"}, "containers": [{"name": "last", "image": "none"}]},
}


def waiting_of(status):
    return status.get("waiting", {}).get("reason"), status.get("waiting", {}).get("position")


def order_in(path):
    return path.read_text().split() if path.exists() else []


@pytest.mark.slow
def test_no_more_jobs_run_than_an_engine_allows_whatever_happens_to_the_operator(api, shared_operator):
    api.engine("complete", maxRunning=2)
    names = [f"photo-{number}" for number in range(14)]
    with crowd_of(api) as crowd:
        for number, name in enumerate(names):
            api.restore(name, {OWNER: f"owner-{number % 3}"}, priority=number % 2)
            if number in {5, 9}:
                shared_operator.kill()
                shared_operator.start()
        for _ in range(2):
            shared_operator.kill()
            shared_operator.start()
        assert {api.until_finished(name, seconds=120)["phase"] for name in names} == {"Succeeded"}
    assert crowd.most == 2


def test_priority_goes_first_then_owners_take_turns(api, tmp_path):
    order, go = tmp_path / "order", tmp_path / "go"
    api.engine(f"note={order}", f"wait={go}", "complete", maxRunning=1)
    api.restore("first", {OWNER: "zoe"})
    api.until_running("first")
    names = ["crowd-1", "crowd-2", "crowd-3", "single", "urgent"]
    for name in names[:3]:
        api.restore(name, {OWNER: "crowd"})
        api.until_waiting("EngineFull", name)
    api.restore("single", {OWNER: "single"})
    api.restore("urgent", {OWNER: "crowd"}, priority=5)
    last = api.until(lambda status: waiting_of(status)[0] == "EngineFull", "urgent")
    assert last["phase"] == "Queued"
    assert waiting_of(last)[1] == 1
    go.touch()
    for name in names:
        api.until_finished(name, seconds=60)
    assert order_in(order) == ["first", "urgent", "single", "crowd-1", "crowd-2", "crowd-3"]


def test_owners_take_turns_on_a_single_place(api, tmp_path):
    order, go = tmp_path / "order", tmp_path / "go"
    api.engine(f"note={order}", f"wait={go}", "complete", maxRunning=1)
    api.restore("first", {OWNER: "zoe"})
    api.until_running("first")
    for name, owner in [("a-1", "a"), ("a-2", "a"), ("a-3", "a"), ("b-1", "b"), ("b-2", "b")]:
        api.restore(name, {OWNER: owner}, priority=1)
        api.until_waiting("EngineFull", name)
    go.touch()
    for name in ("a-3", "b-2"):
        api.until_finished(name, seconds=60)
    assert order_in(order) == ["first", "a-1", "b-1", "a-2", "b-2", "a-3"]


def test_a_limit_that_is_raised_admits_at_once(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", maxRunning=1)
    api.restore("first")
    api.until_running("first")
    api.restore("second")
    queued = api.until_waiting("EngineFull", "second")
    assert (queued["phase"], waiting_of(queued)) == ("Queued", ("EngineFull", 1))
    api.patch("engines", "scripted", {"spec": {"maxRunning": 2}})
    assert "waiting" not in api.until_running("second", seconds=25)
    go.touch()
    assert api.until_finished("second")["phase"] == "Succeeded"
    api.until_finished("first")


@pytest.mark.parametrize("leave", ["cancel", "suspend", "delete"])
def test_a_job_that_leaves_its_place_admits_the_next_one(api, tmp_path, leave):
    api.engine(f"wait={tmp_path / 'never'}", maxRunning=1)
    api.restore("first")
    api.until_running("first")
    api.restore("second")
    api.until_waiting("EngineFull", "second")
    if leave == "delete":
        api.delete("restorejobs", "first")
    else:
        api.patch("restorejobs", "first", {"spec": {leave: True}})
    api.until_running("second")
    if leave == "suspend":
        api.patch("restorejobs", "first", {"spec": {"suspend": False}})
        assert api.until_waiting("EngineFull", "first")["phase"] == "Queued"


def test_both_kinds_of_job_stand_in_one_line(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", operations=["Restore", "Animate"], maxRunning=1)
    api.restore()
    api.until_running()
    api.animate()
    api.until_waiting("EngineFull", "film")
    go.touch()
    assert api.until_finished("film")["phase"] == "Succeeded"


def test_a_queued_job_can_be_cancelled_and_one_that_waits_too_long_fails(api, tmp_path):
    api.engine(f"wait={tmp_path / 'never'}", maxRunning=1)
    api.restore("first")
    api.until_running("first")
    api.restore("second")
    api.restore("third", startDeadlineSeconds=2)
    api.until_waiting("EngineFull", "second")
    api.patch("restorejobs", "second", {"spec": {"cancel": True}})
    assert api.until_finished("second")["phase"] == "Cancelled"
    late = api.until_finished("third")
    assert late["conditions"][0]["reason"] == "StartDeadlineExceeded"
    assert len(api.items("jobs")) == 1


def test_a_queued_job_can_be_suspended_and_loses_its_place_in_the_line(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", maxRunning=1)
    api.restore("first")
    api.until_running("first")
    api.restore("second")
    api.until_waiting("EngineFull", "second")
    api.restore("third")
    api.patch("restorejobs", "second", {"spec": {"suspend": True}})
    api.until(lambda status: status.get("phase") == "Suspended", "second")
    go.touch()
    assert api.until_finished("third")["phase"] == "Succeeded"
    assert api.status("second")["phase"] == "Suspended"


def test_the_place_of_a_job_stays_taken_when_its_engine_is_deleted(api, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", maxRunning=1)
    api.restore("first")
    api.until_running("first")
    api.delete("engines", "scripted")
    api.restore("second")
    api.until_waiting("EngineNotFound", "second")
    api.engine(f"wait={go}", "complete", maxRunning=1)
    api.until_waiting("EngineFull", "second")
    go.touch()
    assert api.until_finished("first")["phase"] == "Succeeded"
    assert api.until_finished("second")["phase"] == "Succeeded"


class TestLimitOfTheNamespace:
    """One operator that allows one running job in a namespace."""

    @pytest.fixture
    def limited(self, api, shared_operator):
        shared_operator.kill()
        shared_operator.start(max_running="1")
        yield api
        shared_operator.kill()
        shared_operator.start()

    def test_one_runs_and_the_others_say_that_the_namespace_is_full(self, limited, tmp_path):
        go = tmp_path / "go"
        limited.engine(f"wait={go}", "complete")
        limited.engine("complete", name="other", default=False)
        limited.restore("first")
        limited.until_running("first")
        limited.restore("second", engineName="other")
        limited.restore("third", engineName="other", priority=-1)
        assert waiting_of(limited.until_waiting("NamespaceFull", "second"))[1] == 1
        assert waiting_of(limited.until_waiting("NamespaceFull", "third"))[1] == 2
        go.touch()
        assert limited.until_finished("third")["phase"] == "Succeeded"

    def test_a_job_that_lacks_more_than_a_place_holds_up_nobody(self, limited):
        limited.engine("complete", serviceAccountName="absent")
        limited.until_engine(lambda status: status.get("conditions"))
        limited.engine("complete", name="sound", default=False)
        limited.restore("first", priority=9)
        limited.until_waiting("EngineNotReady", "first")
        limited.animate(restore="first", priority=9)
        limited.restore("second", engineName="sound")
        assert limited.until_finished("second")["phase"] == "Succeeded"

    def test_a_job_that_the_api_server_refuses_holds_up_nobody(self, limited, control_plane, eventually):
        policy = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": limited.namespace},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                    ]
                },
                "validations": [{"expression": "!object.metadata.name.startsWith('refused')", "reason": "Forbidden"}],
            },
        }
        binding = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": limited.namespace},
            "spec": {
                "policyName": limited.namespace,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": limited.namespace}}
                },
            },
        }
        control_plane.apply([policy, binding])
        probe = {
            "metadata": {"name": "refused"},
            "spec": {"template": {"spec": {**LAST_POD["spec"], "restartPolicy": "Never"}}},
        }
        jobs = limited.path("jobs")
        try:
            eventually(lambda: limited.client.post(jobs, json=probe, params={"dryRun": "All"}).status_code == 403)
            limited.engine("complete")
            limited.restore("refused-first", priority=9)
            limited.until(lambda status: waiting_of(status)[0] == "ChildRefused", "refused-first")
            limited.restore("second")
            assert limited.until_finished("second")["phase"] == "Succeeded"
        finally:
            for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
                control_plane.kubectl("delete", kind, limited.namespace)
