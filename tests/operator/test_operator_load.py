"""What keeps the operator quick under load: what goes first, what is not written, and what wakes nobody."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rekindle_crds import Phase, Reason, RestoreJob
from rekindle_operator.budget import Budget
from rekindle_operator.core.kinds import RESTORE_JOB
from rekindle_operator.core.observed import Child, Observed, Pod
from rekindle_operator.core.reconcile import reconcile
from rekindle_operator.workqueue import WorkQueue

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


async def test_what_goes_first_goes_before_what_was_there_before() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: key.startswith("new"))
    for key in ("told-1", "told-2", "new-1", "new-2"):
        queue.add(key)

    assert [await queue.take() for _ in range(4)] == ["new-1", "new-2", "told-1", "told-2"]


async def test_who_spends_does_not_wait_and_who_comes_next_does() -> None:
    budget = Budget(per_second=0.001)
    budget.spend()
    budget.spend()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(budget.take(), 0.01)


def _observed(*, child_age: float, pod: Pod | None = None) -> Observed:
    spec = {"source": {"bucket": "photos", "key": "a.jpg"}, "output": {"bucket": "photos", "prefix": "a"}}
    metadata = {"name": "photo", "namespace": "photos", "uid": "uid", "generation": 1, "creationTimestamp": NOW}
    job = RestoreJob.model_validate({"metadata": metadata, "spec": spec})
    child = Child(name="photo-r", uid="child", run=1, created=NOW - timedelta(seconds=child_age))
    return Observed(kind=RESTORE_JOB, job=job, children=(child,), pods=() if pod is None else (pod,))


def test_a_pod_that_is_being_made_is_told_only_when_it_takes_long() -> None:
    soon, late = (reconcile(_observed(child_age=age), NOW) for age in (1, 6))

    assert soon.status.phase is None
    assert soon.wake_up_at == NOW + timedelta(seconds=4)
    assert late.status.phase == Phase.PENDING


def test_a_pod_that_cannot_be_scheduled_is_told_at_once() -> None:
    pod = Pod(name="pod", uid="pod", created=NOW, unschedulable="0/3 nodes are available")

    status = reconcile(_observed(child_age=1, pod=pod), NOW).status

    assert status.waiting is not None
    assert status.waiting.reason == Reason.UNSCHEDULABLE


def test_a_newer_version_of_the_same_is_no_other_child_and_no_other_pod() -> None:
    child, pod = Child(name="a", uid="a", run=1), Pod(name="a", uid="a", created=NOW)

    assert replace(child, resource_version=7) == child
    assert replace(pod, resource_version=7) == pod
    assert replace(child, complete=True) != child
