"""The parts between the watches and the decision: queue, cache, settings and the check of fields."""

import asyncio
import gc
import tracemalloc
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from rekindle_crds import JobStatus, Label, ObjectMeta
from rekindle_crds.crd import manifests
from rekindle_operator.apply import Applier
from rekindle_operator.cache import Cache
from rekindle_operator.census import Census
from rekindle_operator.cluster import Cluster
from rekindle_operator.controller import Controller
from rekindle_operator.core.decision import Action
from rekindle_operator.core.events import Notice
from rekindle_operator.core.observed import Child, Observed, Pod, Policy
from rekindle_operator.core.progress import progress_in, tail_of
from rekindle_operator.emitter import Emitter
from rekindle_operator.engine_reports import EngineReports
from rekindle_operator.health import HealthServer
from rekindle_operator.journal import Journal
from rekindle_operator.line import Line
from rekindle_operator.memory import Key
from rekindle_operator.metrics import Metrics
from rekindle_operator.preflight import lacking
from rekindle_operator.resources import CHILDREN, ENGINES, JOBS, PODS
from rekindle_operator.settings import Settings
from rekindle_operator.workqueue import WorkQueue

KEY = Key("RestoreJob", "photos", "photo")


async def test_a_key_is_worked_on_by_one_worker_and_once_more_when_added_meanwhile():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 0.01)
    queue.done("a")
    assert await asyncio.wait_for(queue.take(), 1) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_of_several_wake_ups_the_earliest_holds():
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("later", 3600)
    queue.add_after("soon", 3600)
    queue.add_after("soon", 0.01)
    queue.add_after("soon", 1800)
    assert await asyncio.wait_for(queue.take(), 5) == "soon"
    queue.close()


async def test_a_key_that_fails_again_waits_longer_and_a_success_forgets_it():
    queue: WorkQueue[str] = WorkQueue()
    delays = [queue.retry("a") for _ in range(12)]
    assert delays[0] <= 0.2
    assert delays[5] > delays[0]
    assert all(60 <= delay <= 120 for delay in delays[10:])
    assert queue.retry("a", at_least=300) == 300
    queue.succeeded("a")
    assert queue.retry("a") <= 0.2
    queue.close()


async def test_a_key_that_was_told_to_wait_is_not_taken_sooner_whoever_adds_it():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.take()
    queue.retry(key, at_least=0.2)
    told = asyncio.get_running_loop().time()
    queue.add(key)
    queue.done(key)
    queue.add(key)
    assert await asyncio.wait_for(queue.take(), 5) == "a"
    assert asyncio.get_running_loop().time() >= told + 0.19
    queue.close()


async def test_a_closed_queue_takes_nothing_and_an_opened_one_begins_afresh():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("before")
    queue.retry("failed", at_least=300)
    queue.close()
    queue.add("meanwhile")
    queue.add_after("meanwhile", 0)
    queue.open(["failed"])
    assert await asyncio.wait_for(queue.take(), 1) == "failed"
    assert len(queue) == 0
    queue.close()


async def test_wishes_for_a_far_day_do_not_pile_up():
    queue: WorkQueue[str] = WorkQueue()
    tracemalloc.start()
    for number in range(5000):
        queue.add("a")
        assert await queue.take() == "a"
        queue.add_after("a", 86_400 - number)
        queue.done("a")
        await asyncio.sleep(0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    queue.close()
    assert size < 100_000


def raw_job(version: int, *, uid: str = "u1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "photo",
            "namespace": "photos",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "managedFields": [],
        },
        "spec": {
            "source": {"bucket": "photos", "key": "a.jpg"},
            "output": {"bucket": "photos", "prefix": "results"},
        },
        "status": {"observedGeneration": 1, **status},
    }


def raw_child(version: int, *, owner: str = "u1", controller: str = "u1") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "photo-1",
            "namespace": "photos",
            "uid": "c1",
            "resourceVersion": str(version),
            "labels": {Label.JOB_UID: owner, Label.RUN: "1"},
            "ownerReferences": [{"uid": controller, "controller": True}],
        },
        "status": {},
    }


def raw_pod(version: int, *, controller: str = "c1") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "photo-1-x",
            "namespace": "photos",
            "uid": "p1",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-05-01T12:00:00Z",
            "labels": {Label.JOB_UID: "u1"},
            "ownerReferences": [{"uid": controller, "controller": True}],
        },
        "spec": {},
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def cache() -> Cache:
    cache = Cache(Policy())
    cache.apply(JOBS["RestoreJob"], raw_job(5))
    return cache


def test_older_news_replaces_nothing_and_wakes_nobody(cache):
    assert cache.apply(JOBS["RestoreJob"], raw_job(5, phase="Running")) == set()
    assert cache.apply(JOBS["RestoreJob"], raw_job(4, phase="Running")) == set()
    assert cache.apply(JOBS["RestoreJob"], raw_job(6, phase="Running")) == {KEY}
    assert Census(cache).phases()["RestoreJob", "Running"] == 1


def test_what_was_deleted_does_not_come_back_by_an_older_list(cache):
    cache.apply(CHILDREN, raw_child(7))
    cache.apply(CHILDREN, raw_child(8), deleted=True)
    cache.confirm(KEY, [raw_child(7)], [], 7)
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.children == ()
    assert observed.confirmed


def test_a_list_removes_what_it_lacks_but_not_what_is_younger(cache):
    cache.apply(CHILDREN, raw_child(9))
    cache.apply(PODS, raw_pod(12))
    assert cache.replace(CHILDREN, "photos", [], 10) == {KEY}
    assert cache.replace(PODS, "photos", [], 10) == set()
    assert cache.replace(PODS, "photos", [], 12) == {KEY}
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.children == ()
    run = {"number": 1, "name": "photo-1", "uid": "c1"}
    cache.apply(JOBS["RestoreJob"], raw_job(13, run=run))
    observed = cache.observe(KEY)
    assert observed is not None
    assert [pod.gone for pod in observed.pods] == [True]
    assert cache.replace(JOBS["RestoreJob"], "photos", [], 12) == set()
    assert cache.observe(KEY) is not None
    cache.replace(JOBS["RestoreJob"], "photos", [], 13)
    assert cache.observe(KEY) is None


def test_a_pod_that_no_child_controls_does_not_count_whatever_labels_it_wears(cache):
    cache.apply(CHILDREN, raw_child(6))
    cache.apply(PODS, raw_pod(7, controller="somebody"))
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.pods == ()


def test_a_job_made_anew_under_the_same_name_inherits_nothing(cache):
    cache.apply(CHILDREN, raw_child(6))
    cache.apply(JOBS["RestoreJob"], raw_job(9, uid="u2"))
    cache.apply(JOBS["RestoreJob"], raw_job(8), deleted=True)
    observed = cache.observe(KEY)
    assert observed is not None
    assert observed.metadata.uid == "u2"
    assert observed.children == ()


def test_a_job_that_only_wears_our_label_is_not_ours(cache):
    assert cache.apply(CHILDREN, raw_child(6, controller="somebody")) == set()


def test_a_number_that_somebody_made_up_for_a_run_is_borne(cache):
    made_up = raw_child(6)
    made_up["metadata"]["labels"][Label.RUN] = "soon"
    assert cache.apply(CHILDREN, made_up) == {KEY}


@pytest.mark.parametrize("labels", [{Label.JOB_UID: "u1"}, {}])
def test_nothing_is_kept_of_what_belongs_to_no_job(cache, labels):
    """A child and its pods outlive a deleted job; somebody else's Jobs and pods may wear the label that we watch."""
    cache.apply(JOBS["RestoreJob"], raw_job(6), deleted=True)
    for number in range(3):
        orphan, child = raw_pod(7 + number), raw_child(7 + number, owner="", controller="")
        orphan["metadata"]["labels"] = child["metadata"]["labels"] = labels
        cache.apply(PODS, orphan, deleted=number == 2)
        cache.apply(CHILDREN, child)
    cache.memory(KEY).tails["p1"] = ("a line",)
    assert cache.memory(KEY).tails == {}
    kept = [thing for thing in gc.get_objects() if isinstance(thing, Pod | Child) and thing.uid in {"p1", "c1"}]
    assert kept == []


class OvertakenApplier:
    """Finds at its first write that a user has changed the job meanwhile."""

    def __init__(self, cache: Cache, newer: dict[str, Any], ended: asyncio.Event) -> None:
        self.actions: list[Action] = []
        self._cache = cache
        self._newer: dict[str, Any] | None = newer
        self._ended = ended

    async def write_status(self, _key: Key, observed: Observed, status: JobStatus, _tell: object) -> bool:
        if self._newer is None:
            self._ended.set()
            return False
        assert status != observed.status
        self._cache.apply(JOBS["RestoreJob"], self._newer)
        self._newer = None
        return False

    async def perform(self, _key: Key, _observed: Observed, action: Action) -> None:
        self.actions.append(action)


async def test_what_was_decided_for_an_overtaken_job_is_not_done(cache):
    late, patient = raw_job(6), raw_job(8)
    late["metadata"]["creationTimestamp"] = patient["metadata"]["creationTimestamp"] = "2026-05-01T12:00:00Z"
    late["spec"]["startDeadlineSeconds"] = 1
    cache.apply(JOBS["RestoreJob"], late)
    cache.apply(CHILDREN, raw_child(7))
    queue: WorkQueue[Key] = WorkQueue()
    ended = asyncio.Event()
    applier = OvertakenApplier(cache, patient, ended)
    controller = Controller(
        cache=cache,
        line=Line(cache),
        queue=queue,
        applier=cast("Applier", applier),
        journal=cast("Journal", None),
        reports=cast("EngineReports", None),
        metrics=Metrics(),
    )
    queue.add(KEY)
    work = asyncio.create_task(controller.work())
    await asyncio.wait_for(ended.wait(), 5)
    work.cancel()
    queue.close()
    assert applier.actions == []


class Pillar:
    """Takes what is posted."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []

    async def write(self, _verb: str, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.posted.append(body)
        return body


async def test_a_note_in_any_script_has_the_bytes_that_an_event_may_have():
    cluster = Pillar()
    emitter = Emitter(cast("Cluster", cluster), Metrics())
    run = asyncio.create_task(emitter.run())
    metadata = ObjectMeta(name="photo", namespace="photos", uid="u1")
    emitter.emit("RestoreJob", metadata, Notice("Warning", "Unschedulable", "нет" * 400, "Wait"))
    await asyncio.wait_for(emitter.flush(), 5)
    run.cancel()
    [event] = cluster.posted
    assert 1000 < len(event["note"].encode()) <= 1024


def test_an_engine_wakes_the_jobs_that_have_no_child(cache):
    engine = {
        "metadata": {"name": "e", "namespace": "photos", "uid": "e1", "resourceVersion": "6"},
        "spec": {"operations": ["Restore"], "image": "engine:1"},
    }
    assert cache.apply(ENGINES, engine) == {KEY}
    cache.apply(CHILDREN, raw_child(7))
    assert cache.apply(ENGINES, engine, deleted=True) == set()


def test_a_finished_job_that_was_released_comes_back_by_no_older_news(cache):
    cache.apply(PODS, raw_pod(6))
    cache.apply(JOBS["RestoreJob"], raw_job(9, phase="Succeeded"))
    cache.release(KEY)
    cache.apply(JOBS["RestoreJob"], raw_job(8, phase="Running"))
    assert cache.observe(KEY) is None
    assert cache.apply(PODS, raw_pod(10)) == set()
    cache.hold(JOBS["RestoreJob"], raw_job(11, phase="Succeeded"))
    assert cache.observe(KEY) is not None


def test_progress_and_last_lines_are_told_apart():
    log = '{"stage":"decode","percent":5}\nreading\n{"stage":"repair","percent":40}\n{"other":1}\n\n'
    progress = progress_in(log)
    assert progress is not None
    assert (progress.stage, progress.percent) == ("repair", 40)
    assert tail_of(log) == ("reading", '{"other":1}')
    assert len(tail_of("\n".join(str(number) for number in range(100)))) == 10
    assert progress_in("nothing\n") is None


@pytest.mark.parametrize(("age", "code"), [(10.0, 200), (300.0, 503)])
async def test_liveness_fails_on_a_dead_watch_and_on_nothing_else(age, code):
    server = HealthServer(Metrics(), lambda: age, 240.0, lambda: False, lambda: False)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/healthz")).status_code == code
        assert (await client.get("/readyz")).status_code == 503
    await server.stop()


def test_settings_come_from_the_environment_and_refuse_nonsense(monkeypatch):
    monkeypatch.setenv("REKINDLE_OPERATOR_NAMESPACES", "a, b")
    monkeypatch.setenv("REKINDLE_OPERATOR_ALLOWED_BUCKETS", "photos")
    settings = Settings()
    assert settings.namespaces == ("a", "b")
    assert settings.allowed_buckets == ("photos",)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]  # it is frozen, as is tested here
    monkeypatch.setenv("REKINDLE_OPERATOR_NAMESPACES", "")
    with pytest.raises(ValidationError):
        Settings()


def test_every_field_that_an_installed_definition_lacks_is_named():
    wanted = manifests()[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(lacking(wanted, wanted, "spec")) == []
    older = {"properties": {"spec": {"properties": dict(wanted["properties"]["spec"]["properties"])}}}
    removed = min(older["properties"]["spec"]["properties"])
    del older["properties"]["spec"]["properties"][removed]
    assert list(lacking(wanted, older, "spec")) == [f"spec.{removed}"]
    assert list(lacking(wanted, {}, "status")) == ["status"]
