"""The status of a job, composed from where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rekindle_crds import (
    Condition,
    JobStatus,
    Phase,
    Progress,
    Reason,
    Result,
    Run,
    SourceLocation,
    Suspension,
    Waiting,
)
from rekindle_operator.core.attempts import History
from rekindle_operator.core.observed import Observed

_Truth = Literal["True", "False", "Unknown"]


_QUEUED = {Reason.ENGINE_FULL, Reason.NAMESPACE_FULL, Reason.AWAITING_QUEUE_ADMISSION}
"""Reasons of a job that lacks nothing but its turn."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands, in one word for the phase and one for the reason."""

    phase: Phase
    reason: str
    message: str
    waiting: Waiting | None = None
    progress: Progress | None = None
    result: Result | None = None
    source: SourceLocation | None = None
    """The photo, when it was found out just now."""
    stopped: bool = False
    """Whether the operator has deleted the child, and another one follows."""


def waiting_for(waiting: Waiting) -> Standing:
    """Return the standing of a job that waits."""
    phase = Phase.QUEUED if waiting.reason in _QUEUED else Phase.PENDING
    return Standing(phase, waiting.reason, waiting.message, waiting=waiting)


def compose(observed: Observed, history: History, standing: Standing, now: datetime) -> JobStatus:
    """Return the whole status of a job that stands where `standing` says."""
    child, before = observed.child, observed.status
    started = [attempt.start_time for attempt in history.attempts if attempt.start_time is not None]
    ended = any(attempt.completion_time is not None for attempt in history.attempts)
    return JobStatus(
        observed_generation=observed.metadata.generation,
        phase=standing.phase,
        conditions=conditions_of(before.conditions, standing, observed.metadata.generation, now),
        progress=standing.progress,
        waiting=standing.waiting,
        engine_name=(child.engine if child is not None else None) or before.engine_name,
        node_name=history.last.node_name if history.last is not None else before.node_name,
        attempt=history.total or None,
        attempts=list(history.attempts),
        disruptions=history.disruptions or None,
        failures=history.failures or None,
        source=standing.source or before.source,
        suspension=_suspension(observed, standing, now),
        result=standing.result,
        start_time=before.start_time or min(started, default=None),
        completion_time=_completion(history, now) if standing.phase.finished else None,
        run=_run(observed, standing),
        active_seconds=history.active_seconds if ended else before.active_seconds,
    )


def invalid_status(observed: Observed, words: str, now: datetime) -> JobStatus:
    """Return the status that ends a job whose status the API server does not take: as little as can be said."""
    standing = Standing(Phase.FAILED, Reason.INVALID_STATUS, words)
    generation = observed.metadata.generation
    ending = {
        "observed_generation": generation,
        "phase": standing.phase,
        "conditions": conditions_of(observed.status.conditions, standing, generation, now),
        "waiting": None,
        "completion_time": now,
    }
    return observed.status.model_copy(update=ending)


def _run(observed: Observed, standing: Standing) -> Run | None:
    child, before = observed.child, observed.status.run
    if child is not None and (before is None or child.run >= before.number):
        return Run(number=child.run, name=child.name, uid=child.uid)
    if before is not None and standing.stopped:
        return before.model_copy(update={"stopped": True})
    return before


def _suspension(observed: Observed, standing: Standing, now: datetime) -> Suspension | None:
    """A suspension begins when nothing runs any more, and ends when the job is seen not to be suspended."""
    before = observed.status.suspension
    if standing.phase != Phase.SUSPENDED:
        if before is None or before.since is None:
            return before
        return Suspension(count=before.count, seconds=before.seconds + _whole_seconds(before.since, now))
    if before is not None and before.since is not None:
        return before
    since = now if observed.status.phase is not None else observed.metadata.creation_timestamp or now
    return Suspension(
        count=1 if before is None else before.count + 1, seconds=0 if before is None else before.seconds, since=since
    )


def _whole_seconds(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()))


def _completion(history: History, now: datetime) -> datetime:
    """A job ends with its last container, or now when there was none."""
    last = history.last
    return now if last is None or last.completion_time is None else min(now, last.completion_time)


def conditions_of(before: Sequence[Condition], standing: Standing, generation: int, now: datetime) -> list[Condition]:
    """Return all conditions.

    Reconciling, Stalled and Ready follow the rules of kstatus: InProgress until the end, then Current after success and
    Failed after anything else.
    """
    finished, succeeded = standing.phase.finished, standing.phase == Phase.SUCCEEDED
    truths: dict[str, _Truth] = {
        "Finished": "True" if finished else "False",
        "Succeeded": ("True" if succeeded else "False") if finished else "Unknown",
        "Ready": "True" if succeeded else "False",
        "Reconciling": "False" if finished else "True",
        "Stalled": "True" if finished and not succeeded else "False",
    }
    known = {condition.type: condition for condition in before}
    return [
        Condition(
            type=name,
            status=truth,
            reason=str(standing.reason),
            message=standing.message,
            last_transition_time=known[name].last_transition_time
            if name in known and known[name].status == truth
            else now,
            observed_generation=generation,
        )
        for name, truth in truths.items()
    ]
