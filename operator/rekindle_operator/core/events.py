"""The catalogue of Events: at most one for each transition of a job's status."""

from dataclasses import dataclass
from typing import Literal

from rekindle_crds import JobStatus, Phase, Reason

_TROUBLE = {
    Reason.ENGINE_NOT_FOUND,
    Reason.ENGINE_MISMATCH,
    Reason.SERVICE_ACCOUNT_NOT_ALLOWED,
    Reason.CHILD_REFUSED,
    Reason.UNSCHEDULABLE,
    Reason.IMAGE_PULL_FAILED,
    Reason.CONTAINER_CONFIG_ERROR,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What an Event says."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str
    """What the operator did or will do, as one word."""


def notices(before: JobStatus, after: JobStatus) -> tuple[Notice, ...]:
    """Return the Events of one change of status; equal statuses have none."""
    finished = after.phase is not None and after.phase.finished
    found = [*_attempts(before, after, finished=finished), *_lost_child(before, after)]
    if finished and before.phase != after.phase:
        found.append(_end(after))
    elif after.phase == Phase.RUNNING and before.phase != Phase.RUNNING:
        pod = after.attempts[-1].pod_name if after.attempts else ""
        where = f" on node {after.node_name}" if after.node_name else ""
        found.append(Notice("Normal", Reason.RUNNING, f"Pod {pod} started{where}.", "Run"))
    elif after.waiting is not None and after.waiting.reason in _TROUBLE and not _same_wait(before, after):
        found.append(Notice("Warning", after.waiting.reason, after.waiting.message, "Wait"))
    return tuple(found)


def _attempts(before: JobStatus, after: JobStatus, *, finished: bool) -> list[Notice]:
    """Attempts that ended and are followed by another one; the last one is told by the end of the job."""
    ended = {attempt.pod_uid for attempt in before.attempts if attempt.reason is not None}
    fresh = [attempt for attempt in after.attempts if attempt.reason is not None and attempt.pod_uid not in ended]
    return [
        Notice("Warning", attempt.reason or "", f"Attempt {attempt.number}: {attempt.message or 'failed'}", "Retry")
        for attempt in (fresh[:-1] if finished else fresh)
    ]


def _lost_child(before: JobStatus, after: JobStatus) -> list[Notice]:
    if before.run is None or after.run is None or before.run.number >= after.run.number:
        return []
    if before.engine_name != after.engine_name:
        return []
    return [
        Notice("Warning", Reason.CHILD_LOST, f"Child Job {before.run.name} is gone; made {after.run.name}.", "Retry")
    ]


def _end(status: JobStatus) -> Notice:
    succeeded = next(condition for condition in status.conditions if condition.type == "Succeeded")
    failed = status.phase == Phase.FAILED
    return Notice("Warning" if failed else "Normal", succeeded.reason, succeeded.message, "Finish")


def _same_wait(before: JobStatus, after: JobStatus) -> bool:
    return before.waiting is not None and after.waiting is not None and before.waiting.reason == after.waiting.reason
