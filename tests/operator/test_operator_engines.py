"""Engines on the real API server: their Ready condition, their counts, and what becomes of jobs when they change."""

import json

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("process_node")]

CLAIM = {
    "metadata": {"name": "models"},
    "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.fixture
def api(shared_api):
    return shared_api


def ready(status):
    return next(((c["status"], c["reason"]) for c in status.get("conditions", []) if c["type"] == "Ready"), None)


@pytest.mark.slow
def test_an_engine_tells_that_it_is_ready_how_many_jobs_it_has_and_how_fast_it_is(api, control_plane, tmp_path):
    go = tmp_path / "go"
    made = api.engine(f"wait={go}", "complete", maxRunning=1)
    status = api.until_engine(ready)
    assert ready(status) == ("True", "EngineReady")
    assert status["observedGeneration"] == made["metadata"]["generation"]
    api.restore("first")
    api.until_running("first")
    api.restore("second")
    api.until_engine(lambda status: (status.get("running"), status.get("waiting")) == (1, 1))
    shown = control_plane.kubectl("get", "engines", "-n", api.namespace)
    titles, row = (line.split() for line in shown.splitlines())
    assert dict(zip(titles, row, strict=True)) == {
        "NAME": "scripted",
        "OPERATIONS": '["Restore"]',
        "DEFAULT": "true",
        "READY": "True",
        "REASON": "EngineReady",
        "RUNNING": "1",
        "LIMIT": "1",
        "WAITING": "1",
        "AGE": row[-1],
    }
    go.touch()
    api.until_finished("second")
    idle = api.until_engine(lambda status: (status.get("running"), status.get("waiting")) == (0, 0))
    assert [speed["operation"] for speed in idle["speeds"]] == ["Restore"]


def test_an_engine_without_its_service_account_makes_jobs_wait_until_there_is_one(api):
    api.engine("complete", serviceAccountName="worker")
    status = api.until_engine(ready)
    assert ready(status) == ("False", "ServiceAccountNotFound")
    api.restore()
    waiting = api.until_waiting("EngineNotReady")
    assert "worker" in waiting["waiting"]["message"]
    assert api.items("jobs") == []
    api.create("serviceaccounts", {"metadata": {"name": "worker"}})
    assert api.until_finished()["phase"] == "Succeeded"
    assert ready(api.until_engine(lambda status: ready(status)[0] == "True")) == ("True", "EngineReady")
    api.delete("serviceaccounts", "worker")


def test_an_engine_without_its_volume_is_not_ready_and_is_once_it_names_one_that_exists(api):
    api.engine("complete", weights={"persistentVolumeClaim": {"name": "models"}})
    assert ready(api.until_engine(ready)) == ("False", "VolumeClaimNotFound")
    api.restore()
    assert "models" in api.until_waiting("EngineNotReady")["waiting"]["message"]
    api.create("persistentvolumeclaims", CLAIM)
    api.until_engine(lambda status: ready(status) == ("True", "EngineReady"))
    api.until(lambda status: status.get("run"))
    api.delete("persistentvolumeclaims", "models")


def test_an_engine_that_is_corrected_is_looked_at_at_once(api):
    api.engine("complete", serviceAccountName="absent")
    api.until_engine(lambda status: ready(status) == ("False", "ServiceAccountNotFound"))
    api.restore()
    api.until_waiting("EngineNotReady")
    api.patch("engines", "scripted", {"spec": {"serviceAccountName": None}})
    assert api.until_finished()["phase"] == "Succeeded"


@pytest.mark.parametrize("change", ["delete", "replace", "edit"])
def test_a_running_job_is_not_touched_by_what_happens_to_its_engine(api, tmp_path, change):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore()
    before = api.until_running()
    if change == "edit":
        api.patch("engines", "scripted", {"spec": {"command": ["false"], "serviceAccountName": "absent"}})
        api.until_engine(lambda status: ready(status) == ("False", "ServiceAccountNotFound"))
    else:
        api.delete("engines", "scripted")
        api.until_gone("engines", "scripted")
    if change == "replace":
        api.engine("exit=3")
        api.until_engine(ready)
    go.touch()
    done = api.until_finished()
    assert done["phase"] == "Succeeded"
    assert done["run"] == before["run"]


@pytest.mark.slow
def test_a_retry_uses_the_engine_as_it_was_when_the_job_started(api, tmp_path):
    api.engine(f"fail-once={tmp_path / 'tried'}:21", "complete")
    api.restore()
    api.until_waiting("Retrying")
    api.patch("engines", "scripted", {"spec": {"command": ["false"]}})
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"


def test_a_job_whose_image_cannot_be_pulled_starts_once_its_engine_is_corrected(api):
    made = api.engine("complete", image="nowhere.invalid/engine:1")
    api.restore(backoffLimit=0)
    api.until_waiting("ImagePullFailed")
    api.patch("engines", "scripted", {"spec": {"image": "rekindle-worker:dev"}})
    done = api.until_finished()
    assert (done["phase"], done["run"]["number"]) == ("Succeeded", 2)
    assert "failures" not in done
    assert made["spec"]["image"] not in str(api.items("jobs"))


def test_a_job_that_named_an_engine_by_mistake_is_corrected_while_it_waits(api):
    api.engine("complete")
    api.restore(engineName="scriptde")
    api.until_waiting("EngineNotFound")
    api.patch("restorejobs", "photo", {"spec": {"engineName": "scripted"}})
    done = api.until_finished()
    assert (done["phase"], done["engineName"]) == ("Succeeded", "scripted")


def test_a_job_without_an_engine_name_starts_when_an_engine_becomes_the_default(api):
    api.engine("complete", default=False)
    api.restore()
    api.until_waiting("EngineNotFound")
    api.patch("engines", "scripted", {"spec": {"default": True}})
    assert api.until_finished()["phase"] == "Succeeded"


def test_an_engine_shows_its_counts_to_programs_too(api, control_plane):
    api.engine("complete")
    api.until_engine(ready)
    told = json.loads(control_plane.kubectl("get", "engine/scripted", "-n", api.namespace, "-o", "json"))
    assert (told["status"]["running"], told["status"]["waiting"]) == (0, 0)
    wait = ("wait", "engine/scripted", "--for=condition=Ready", "--timeout=60s", "-n", api.namespace)
    assert "condition met" in control_plane.kubectl(*wait)
