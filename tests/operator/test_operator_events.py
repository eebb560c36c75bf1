"""Events: which transition is told, in which words, and under which name."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rekindle_crds import JobStatus, ObjectMeta, Phase, Reason
from rekindle_crds.events import ORDINARY, Announcement
from rekindle_operator.cluster import ApiError, Cluster
from rekindle_operator.core.events import Notice, notices
from rekindle_operator.emitter import Emitter
from rekindle_operator.metrics import Metrics

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def status(phase: Phase | None = Phase.PENDING, reason: str = "", **fields: Any) -> JobStatus:
    """A status as far as Events are made from it: a wait for `reason`, or an end with it."""
    body: dict[str, Any] = {"phase": phase, **fields}
    if phase is not None and phase.finished:
        end = {"type": "Succeeded", "status": "False", "reason": reason, "message": "told", "lastTransitionTime": NOW}
        body["conditions"] = [end]
    elif reason:
        body["waiting"] = {"reason": reason, "message": "told"}
    return JobStatus.model_validate(body)


def attempt(number: int = 1, reason: str | None = None) -> dict[str, Any]:
    return {"number": number, "podName": f"pod-{number}", "podUid": f"uid-{number}", "reason": reason}


def run(number: int) -> dict[str, Any]:
    return {"number": number, "name": f"child-{number}", "uid": f"uid-{number}"}


def told(before: JobStatus, after: JobStatus) -> list[tuple[str, str, str]]:
    return [(notice.type, notice.reason, notice.action) for notice in notices(before, after)]


NEW = JobStatus()
RUNNING = status(Phase.RUNNING, attempts=[attempt()], attempt=1)
PAUSED = {"count": 1, "since": NOW}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NEW, status(reason="WaitingForPod"), []),
        (NEW, status(reason="EngineNotFound"), [("Warning", "EngineNotFound", "Wait")]),
        (status(reason="EngineNotFound"), status(reason="EngineNotFound"), []),
        (status(reason="EngineNotFound"), status(reason="WaitingForPod"), []),
        (NEW, status(Phase.QUEUED, "EngineFull"), []),
        (NEW, RUNNING, [("Normal", "Running", "Run")]),
        (RUNNING, RUNNING, []),
        (RUNNING, status(Phase.SUCCEEDED, "Completed"), [("Normal", "Completed", "Finish")]),
        (RUNNING, status(Phase.CANCELLED, "Cancelled"), [("Normal", "Cancelled", "Finish")]),
        (RUNNING, status(Phase.FAILED, "OutOfMemory"), [("Warning", "OutOfMemory", "Finish")]),
        (
            RUNNING,
            status(Phase.PENDING, "Retrying", attempts=[attempt(1, "Evicted")], attempt=1),
            [("Warning", "Evicted", "Retry")],
        ),
        (
            RUNNING,
            status(Phase.FAILED, "RetriesExhausted", attempts=[attempt(1, "Killed")], attempt=1),
            [("Warning", "RetriesExhausted", "Finish")],
        ),
        (
            RUNNING,
            status(Phase.SUSPENDED, "Suspended", attempts=[attempt(1, "Suspended")], suspension=PAUSED),
            [("Normal", "Suspended", "Suspend")],
        ),
        (
            status(Phase.SUSPENDED, "Suspended", suspension=PAUSED, run=run(1) | {"stopped": True}),
            status(Phase.PENDING, "WaitingForPod", suspension={"count": 1}, run=run(2)),
            [("Normal", "Resumed", "Resume")],
        ),
        (status(run=run(1)), status(run=run(2)), [("Warning", "ChildLost", "Retry")]),
    ],
)
def test_a_transition_is_told_by_at_most_one_event(before, after, expected):
    assert told(before, after) == expected


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in ORDINARY])
def test_every_reason_to_wait_that_is_not_ordinary_is_told_as_a_warning(reason):
    assert told(NEW, status(reason=reason)) == [("Warning", reason, "Wait")]


def test_the_same_words_about_another_attempt_are_another_event():
    first, second = (
        notices(status(attempt=number), status(Phase.RUNNING, attempt=number))[0].occasion for number in (1, 2)
    )
    assert first != second


def test_every_event_of_the_catalogue_has_an_action_and_a_sentence():
    for announcement in Announcement:
        assert announcement.action.isalpha()
        assert announcement.when.endswith(".")


class Pillar:
    """Takes what is posted, or refuses it."""

    def __init__(self, refusal: ApiError | None = None) -> None:
        self.posted: list[dict[str, Any]] = []
        self.refusal = refusal

    async def write(self, _verb: str, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.posted.append(body)
        return body


async def post(pillar: Pillar, *told: tuple[str, Notice]) -> Metrics:
    metrics = Metrics()
    emitter = Emitter(cast("Cluster", pillar), metrics)
    task = asyncio.create_task(emitter.run())
    for name, notice in told:
        emitter.emit("RestoreJob", ObjectMeta(name=name, namespace="photos", uid="u1"), notice)
    await asyncio.wait_for(emitter.flush(), 5)
    task.cancel()
    return metrics


NOTICE = Notice("Warning", "Unschedulable", "no node", "Wait", "1/1/0")


@pytest.mark.parametrize("length", [1, 229, 230, 231, 253])
@pytest.mark.parametrize("filler", ["a", "a-", "a.b"])
async def test_the_name_of_an_event_is_a_valid_name_however_long_that_of_its_job_is(length, filler):
    name = (filler * 253)[: length - 1] + "z"
    pillar = Pillar()
    await post(pillar, (name, NOTICE))
    [event] = pillar.posted
    assert len(event["metadata"]["name"]) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", event["metadata"]["name"])


async def test_the_same_transition_told_twice_has_one_name_and_another_occasion_another():
    pillar = Pillar()
    again = Notice("Warning", "Unschedulable", "no node", "Wait", "1/2/0")
    await post(pillar, ("photo", NOTICE), ("photo", NOTICE), ("photo", again))
    first, second, third = (event["metadata"]["name"] for event in pillar.posted)
    assert first == second != third


async def test_events_are_counted_as_posted_or_as_dropped():
    page = await post(Pillar(), ("photo", NOTICE))
    assert page.registry.get_sample_value("rekindle_events_posted_total") == 1
    page = await post(Pillar(ApiError(403, "Forbidden", "no")), ("photo", NOTICE))
    assert page.registry.get_sample_value("rekindle_events_dropped_total", {"cause": "refused"}) == 1
