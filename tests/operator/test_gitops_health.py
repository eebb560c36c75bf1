"""Where a job stands in the eyes of kstatus, Argo CD and Flux, by the snippets of docs/gitops.md."""

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from lupa import lua51

from rekindle_crds import Engine, Phase, RestoreJob
from rekindle_operator.core.kinds import RESTORE_JOB
from rekindle_operator.core.observed import Child, Container, Observed, Pod
from rekindle_operator.core.reconcile import reconcile

Json = dict[str, Any]

PAGE = (Path(__file__).resolve().parents[2] / "docs/gitops.md").read_text("utf-8")
ARGO, FLUX = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)

IN_PROGRESS = ("InProgress", "Progressing", "InProgress")
SUSPENDED = ("InProgress", "Suspended", "InProgress")
DONE = ("Current", "Healthy", "Current")
FAILED = ("Failed", "Degraded", "Failed")


def kstatus(item: Json) -> str:
    """The published rules for custom resources.

    References:
        kubernetes-sigs/cli-utils, pkg/kstatus/status: checkGenericProperties, then checkReadyCondition.
    """
    status = item.get("status", {})
    if item["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != item["metadata"]["generation"]:
        return "InProgress"
    for condition in status.get("conditions", []):
        if (condition["type"], condition["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (condition["type"], condition["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = next((c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"


def argo(item: Json) -> str:
    """What the Lua script of the kind returns, with the few functions that Argo CD gives it."""
    lua = lua51.LuaRuntime(register_eval=False)
    for library in ("io", "os", "string", "math", "debug", "package", "require", "python"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(item, recursive=True)
    health = lua.execute(ARGO["data"][f"resource.customizations.health.rekindle.dev_{item['kind']}"])
    assert isinstance(health.message, str)
    return str(health.status)


def flux(item: Json) -> str:
    """What the expressions of the kind say, in the order in which Flux asks them; an error makes it wait.

    References:
        fluxcd/pkg, runtime/cel: StatusEvaluator.Evaluate.
    """
    if (
        item.get("status", {}).get("observedGeneration", item["metadata"]["generation"])
        != item["metadata"]["generation"]
    ):
        return "InProgress"
    [expressions] = [entry for entry in FLUX["spec"]["healthCheckExprs"] if entry["kind"] == item["kind"]]
    environment = celpy.Environment()
    for name, answer in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        program = environment.program(environment.compile(expressions[name]))
        try:
            if program.evaluate({field: json_to_cel(value) for field, value in item.items()}):
                return answer
        except CELEvalError:
            return "InProgress"
    return "InProgress"


def views(item: Json) -> tuple[str, str, str]:
    return kstatus(item), argo(item), flux(item)


def job(status: Json | None = None, generation: int = 1, **spec: Any) -> RestoreJob:
    metadata = {"name": "photo", "namespace": "photos", "uid": "u" * 36, "generation": generation}
    body = {
        "metadata": {**metadata, "creationTimestamp": NOW - timedelta(seconds=60)},
        "spec": {
            "source": {"bucket": "photos-in", "key": "a.jpg"},
            "output": {"bucket": "photos-out", "prefix": "results"},
            **spec,
        },
    }
    return RestoreJob.model_validate(body if status is None else {**body, "status": status})


def wire(resource: RestoreJob) -> Json:
    item: Json = json.loads(resource.model_dump_json(by_alias=True, exclude_none=True))
    return item


def decided(status: Json | None = None, spec: Json | None = None, **fields: Any) -> Json:
    """A job as it is once the decision for what is observed has been written."""
    resource = job(status, **(spec or {}))
    observed = Observed(**{"kind": RESTORE_JOB, "job": resource, "engines": (ENGINE,), **fields})
    return wire(resource) | {
        "status": json.loads(reconcile(observed, NOW).status.model_dump_json(by_alias=True, exclude_none=True))
    }


ENGINE = Engine.model_validate(
    {
        "metadata": {"name": "classic", "namespace": "photos", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"operations": ["Restore"], "image": "engine:1", "default": True},
    }
)
CHILD = Child(name="photo-1", uid="child-1", run=1, engine="classic")
RUNNING = Pod(
    name="pod-1",
    uid="uid-1",
    created=NOW - timedelta(seconds=50),
    phase="Running",
    container=Container(started_at=NOW - timedelta(seconds=5)),
)


def ended(code: int, told: str = "") -> Pod:
    container = Container(
        started_at=NOW - timedelta(seconds=5), finished_at=NOW, exit_code=code, termination_message=told
    )
    phase = "Failed" if code else "Succeeded"
    return Pod(name="pod-1", uid="uid-1", created=NOW - timedelta(seconds=50), phase=phase, container=container)


RESULT = json.dumps(
    {
        "reason": "Completed",
        "result": {
            "outputs": [
                {
                    "name": "Result",
                    "key": "results/uid/result.jpg",
                    "sha256": "0" * 64,
                    "bytes": 1,
                    "width": 1,
                    "height": 1,
                    "mediaType": "image/jpeg",
                }
            ],
            "manifestKey": "results/manifest.json",
            "provenance": {"engine": "classic", "version": "1"},
            "sourcePixels": 1,
            "processingMilliseconds": 1,
        },
    }
)
TAIL = {"uid-1": ("boom",)}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (decided(engines=()), IN_PROGRESS),
        (decided(children=(CHILD,)), IN_PROGRESS),
        (decided(children=(CHILD,), pods=(RUNNING,)), IN_PROGRESS),
        (decided(children=(CHILD,), pods=(RUNNING,), spec={"cancel": True}, tails=TAIL), IN_PROGRESS),
        (decided(children=(CHILD,), pods=(ended(21),), tails=TAIL), IN_PROGRESS),
        (decided(children=(CHILD,), pods=(ended(0, RESULT),)), DONE),
        (decided(children=(CHILD,), pods=(ended(0, "nothing"),)), FAILED),
        (decided(confirmed=True, spec={"cancel": True}), FAILED),
        (decided(confirmed=True, spec={"startDeadlineSeconds": 1}), FAILED),
    ],
    ids=["no engine", "pending", "running", "cancelling", "retrying", "done", "no result", "cancelled", "too late"],
)
def test_every_view_agrees_on_what_the_operator_writes(item, expected):
    assert views(item) == expected


def composed(phase: Phase, succeeded: str, **fields: Any) -> Json:
    """A job with the conditions of one phase, written out."""
    finished = phase.finished
    truths = {
        "Finished": str(finished),
        "Succeeded": succeeded,
        "Ready": str(succeeded == "True"),
        "Reconciling": str(not finished),
        "Stalled": str(succeeded == "False"),
    }
    conditions = [{"type": name, "status": truth, "reason": "R", "message": ""} for name, truth in truths.items()]
    status = {"observedGeneration": 1, "phase": phase.value, "conditions": conditions, **fields}
    return {"kind": "RestoreJob", "metadata": {"name": "photo", "generation": 1}, "spec": {}, "status": status}


BARE: Json = {"kind": "RestoreJob", "metadata": {"name": "photo", "generation": 1}, "spec": {}}


@pytest.mark.parametrize("kind", ["RestoreJob", "AnimationJob"])
@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (BARE | {"status": {"observedGeneration": -1}}, IN_PROGRESS),
        (composed(Phase.PENDING, "Unknown"), IN_PROGRESS),
        (composed(Phase.QUEUED, "Unknown"), IN_PROGRESS),
        (composed(Phase.RUNNING, "Unknown"), IN_PROGRESS),
        (composed(Phase.SUSPENDED, "Unknown"), SUSPENDED),
        (composed(Phase.SUCCEEDED, "True"), DONE),
        (composed(Phase.FAILED, "False"), FAILED),
        (composed(Phase.CANCELLED, "False"), FAILED),
        (composed(Phase.SUCCEEDED, "True", observedGeneration=0), IN_PROGRESS),
    ],
    ids=["new", "pending", "queued", "running", "suspended", "succeeded", "failed", "cancelled", "spec changed"],
)
def test_both_kinds_of_job_look_the_same_in_every_state(kind, item, expected):
    assert views(item | {"kind": kind}) == expected


def test_argo_and_flux_wait_for_an_object_without_any_status():
    assert (argo(BARE), flux(BARE)) == ("Progressing", "InProgress")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"observedGeneration": -1}, IN_PROGRESS),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, DONE),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "Unknown"}]}, IN_PROGRESS),
        ({"observedGeneration": 0, "conditions": [{"type": "Ready", "status": "True"}]}, IN_PROGRESS),
    ],
)
def test_an_engine_is_healthy_when_it_is_ready(status, expected):
    status["conditions"] = [c | {"reason": "R", "message": "m"} for c in status.get("conditions", [])]
    assert views({"kind": "Engine", "metadata": {"generation": 1}, "spec": {}, "status": status}) == expected


def test_an_engine_that_is_not_ready_is_degraded_in_argo_and_failed_in_flux():
    condition = {"type": "Ready", "status": "False", "reason": "R", "message": "m"}
    status = {"observedGeneration": 1, "conditions": [condition]}
    item = {"kind": "Engine", "metadata": {"generation": 1}, "spec": {}, "status": status}
    assert (argo(item), flux(item)) == ("Degraded", "Failed")


def versions(api: Any, created: Json) -> list[Json]:
    """Every version of a RestoreJob that the API server has had, up to the one that it has now."""
    last = api.get("restorejobs", created["metadata"]["name"])["metadata"]["resourceVersion"]
    query = {"watch": "1", "resourceVersion": created["metadata"]["resourceVersion"], "timeoutSeconds": "30"}
    found = [created]
    with api.client.stream("GET", api.path("restorejobs"), params=query) as stream:
        for line in stream.iter_lines():
            found.append(json.loads(line)["object"])
            if found[-1]["metadata"]["resourceVersion"] == last:
                return found
    pytest.fail(f"version {last} was not among {len(found)}")


def succeed(api: Any, go: Path) -> Json:
    api.engine("progress=repair:40", f"wait={go}", "complete")
    created: Json = api.restore()
    api.until_running()
    go.touch()
    return created


def fail(api: Any, go: Path) -> Json:
    api.engine(f"wait={go}", "exit=11")
    created: Json = api.restore()
    api.until_running()
    go.touch()
    return created


def cancel(api: Any, go: Path) -> Json:
    api.engine(f"wait={go}")
    created: Json = api.restore()
    api.until_running()
    api.patch("restorejobs", "photo", {"spec": {"cancel": True}})
    return created


def wait_for_the_engine(api: Any, _: Path) -> Json:
    created: Json = api.restore()
    api.until_waiting("EngineNotFound")
    api.engine("complete")
    return created


def suspend(api: Any, _: Path) -> Json:
    api.engine("complete")
    created: Json = api.restore(suspend=True)
    api.until(lambda status: status.get("phase") == "Suspended")
    api.patch("restorejobs", "photo", {"spec": {"suspend": False}})
    return created


@pytest.mark.stack
@pytest.mark.usefixtures("process_node", "operator")
@pytest.mark.parametrize(
    ("live", "end"), [(succeed, DONE), (fail, FAILED), (cancel, FAILED), (wait_for_the_engine, DONE), (suspend, DONE)]
)
def test_no_version_of_a_real_job_looks_finished_before_its_end(api, tmp_path, live, end):
    created = live(api, tmp_path / "go")
    api.until_finished()
    *before, last = versions(api, created)
    assert len(before) >= 2
    for version in before:
        unseen = version["status"]["observedGeneration"] != version["metadata"]["generation"]
        suspended = version["status"].get("phase") == "Suspended" and not unseen
        assert views(version) == (SUSPENDED if suspended else IN_PROGRESS)
    assert views(last) == end


@pytest.mark.stack
@pytest.mark.usefixtures("process_node", "operator")
def test_the_commands_for_waiting_work_as_they_are_written(api, control_plane):
    api.engine("complete", name="classic")
    api.restore()
    words = [shlex.split(command)[1:] for command in COMMANDS]
    answers = [control_plane.kubectl(*command, "-n", api.namespace) for command in words]
    assert "restorejob.rekindle.dev/photo condition met" in answers[0]
    assert answers[1] == "Completed"
    assert "engine.rekindle.dev/classic condition met" in answers[-1]
