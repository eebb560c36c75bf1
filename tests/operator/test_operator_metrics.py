"""Figures: what is counted at a transition, what is read from the cache, and that none is about a single job."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rekindle_crds import JobStatus, RestoreJob
from rekindle_operator.cache import Cache
from rekindle_operator.census import Census
from rekindle_operator.core.kinds import RESTORE_JOB
from rekindle_operator.core.observed import Observed, Policy
from rekindle_operator.emitter import Emitter
from rekindle_operator.journal import Journal
from rekindle_operator.metrics import Metrics
from rekindle_operator.resources import ENGINES, JOBS

CREATED = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
STARTED, ENDED = CREATED + timedelta(seconds=10), CREATED + timedelta(seconds=40)

SPEC = {"source": {"bucket": "photos-in", "key": "a.jpg"}, "output": {"bucket": "photos-out", "prefix": "results"}}


class NoPost:
    """Takes no Event."""

    def emit(self, *_: Any) -> None:
        """Leave it."""


def observed(status: JobStatus) -> Observed:
    metadata = {"name": "photo", "namespace": "photos", "uid": "u1", "generation": 1, "creationTimestamp": CREATED}
    job = RestoreJob.model_validate({"metadata": metadata, "spec": SPEC, "status": status})
    return Observed(kind=RESTORE_JOB, job=job)


def ended(phase: str, reason: str, **fields: Any) -> JobStatus:
    condition = {"type": "Succeeded", "status": "False", "reason": reason, "message": "", "lastTransitionTime": ENDED}
    body = {"phase": phase, "conditions": [condition], "completionTime": ENDED, **fields}
    return JobStatus.model_validate(body)


def attempt(reason: str | None) -> dict[str, Any]:
    return {"number": 1, "podName": "p", "podUid": "p1", "reason": reason}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def journal(metrics: Metrics) -> Journal:
    return Journal(cast("Emitter", NoPost()), metrics)


def test_the_end_of_a_job_is_counted_once_with_how_long_it_took(journal, metrics):
    before = JobStatus.model_validate({"phase": "Running", "attempts": [attempt(None)]})
    done = ended("Succeeded", "Completed", startTime=STARTED, activeSeconds=25, attempts=[attempt("Completed")])
    journal.tell(observed(before), done)
    journal.tell(observed(done), done.model_copy(update={"observed_generation": 2}))
    value = metrics.registry.get_sample_value
    labels = {"kind": "RestoreJob", "phase": "Succeeded"}
    assert value("rekindle_jobs_finished_total", {**labels, "reason": "Completed"}) == 1
    assert value("rekindle_attempts_total", {"kind": "RestoreJob", "reason": "Completed"}) == 1
    assert value("rekindle_status_writes_total", {"kind": "RestoreJob"}) == 2
    assert value("rekindle_job_wait_seconds_sum", labels) == 10
    assert value("rekindle_job_run_seconds_sum", labels) == 25
    assert value("rekindle_job_duration_seconds_sum", labels) == 40
    assert value("rekindle_job_duration_seconds_count", labels) == 1


def test_a_job_that_never_started_has_a_duration_but_neither_wait_nor_run(journal, metrics):
    journal.tell(observed(JobStatus()), ended("Cancelled", "Cancelled"))
    value, labels = metrics.registry.get_sample_value, {"kind": "RestoreJob", "phase": "Cancelled"}
    assert value("rekindle_job_wait_seconds_count", labels) == 0
    assert value("rekindle_job_run_seconds_count", labels) == 0
    assert value("rekindle_job_duration_seconds_sum", labels) == 40


def raw(name: str, age: float, **status: Any) -> dict[str, Any]:
    created = datetime.now(UTC) - timedelta(seconds=age)
    metadata: dict[str, Any] = {"name": name, "namespace": "photos", "uid": name, "resourceVersion": "1"}
    metadata["generation"] = 1
    metadata["creationTimestamp"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": metadata, "spec": SPEC, "status": {"observedGeneration": 1, **status}}


@pytest.fixture
def cache() -> Cache:
    cache = Cache(Policy())
    for job in (
        raw("new", 5),
        raw("waits", 100, phase="Pending", waiting={"reason": "EngineNotFound"}),
        raw("suspended", 500, phase="Suspended", waiting={"reason": "Suspended"}),
        raw("runs", 900, phase="Running", startTime="2026-05-01T12:00:00Z"),
        raw("done", 999, phase="Succeeded"),
    ):
        cache.apply(JOBS["RestoreJob"], job)
    return cache


def test_unfinished_jobs_are_counted_by_kind_phase_and_reason(cache):
    census = Census(cache)
    phases = {names: count for names, count in census.phases().items() if count}
    assert phases == {
        ("RestoreJob", "Pending"): 2,
        ("RestoreJob", "Suspended"): 1,
        ("RestoreJob", "Running"): 1,
    }
    assert census.reasons() == {("RestoreJob", "EngineNotFound"): 1, ("RestoreJob", "Suspended"): 1}


def test_the_longest_wait_is_of_jobs_that_neither_started_nor_are_suspended(cache):
    assert 99 <= Census(cache).longest_waits()["RestoreJob",] <= 130
    assert Census(Cache(Policy())).longest_waits()["RestoreJob",] == 0


def test_engines_show_how_full_they_are(cache, metrics):
    Census(cache).expose(metrics)
    ready = {"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": CREATED.isoformat()}
    engine = {
        "metadata": {"name": "gpu", "namespace": "photos", "uid": "e1", "resourceVersion": "6"},
        "spec": {"operations": ["Restore"], "image": "engine:1", "maxRunning": 4},
        "status": {"conditions": [ready], "running": 3, "waiting": 7},
    }
    cache.apply(ENGINES, engine)
    labels = {"engine_namespace": "photos", "engine": "gpu"}
    names = ("ready", "running", "waiting", "limit")
    values = [metrics.registry.get_sample_value(f"rekindle_engine_{name}", labels) for name in names]
    assert values == [1, 3, 7, 4]
    cache.apply(ENGINES, engine, deleted=True)
    assert metrics.registry.get_sample_value("rekindle_engine_running", labels) is None
