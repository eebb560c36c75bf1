"""Which Events a change of status calls for: at most one for each transition."""

from dataclasses import dataclass
from typing import Literal

from rekindle_crds import JobStatus, Phase, Reason
from rekindle_crds.events import ORDINARY, Announcement

_ENDS = {
    Phase.SUCCEEDED: Announcement.SUCCEEDED,
    Phase.CANCELLED: Announcement.CANCELLED,
    Phase.FAILED: Announcement.FAILED,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What an Event says."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str
    """What the operator did or will do, as one word."""
    occasion: str = ""
    """Tells it from an Event of another run, attempt or suspension that says the same."""


def notices(before: JobStatus, after: JobStatus) -> tuple[Notice, ...]:
    """Return the Events of one change of status; equal statuses have none."""
    finished = after.phase is not None and after.phase.finished
    found = [*_attempts(before, after, finished=finished), *_lost_child(before, after)]
    transition = _transition(before, after)
    return (*found, transition) if transition is not None else tuple(found)


def _transition(before: JobStatus, after: JobStatus) -> Notice | None:
    """The Event of a new phase, or else of a new reason for waiting."""
    if after.phase != before.phase:
        if after.phase is not None and after.phase.finished:
            end = next(condition for condition in after.conditions if condition.type == "Succeeded")
            return _notice(_ENDS[after.phase], after, end.message, end.reason)
        if after.phase == Phase.RUNNING:
            pod = after.attempts[-1].pod_name if after.attempts else ""
            where = f" on node {after.node_name}" if after.node_name else ""
            return _notice(Announcement.RUNNING, after, f"Pod {pod} started{where}.")
        if after.phase == Phase.SUSPENDED:
            return _notice(Announcement.SUSPENDED, after, "The job is suspended.")
        if before.phase == Phase.SUSPENDED:
            return _notice(Announcement.RESUMED, after, "The job goes on.")
    waiting, known = after.waiting, before.waiting
    if waiting is None or waiting.reason in ORDINARY or (known is not None and known.reason == waiting.reason):
        return None
    return _notice(Announcement.WAITING, after, waiting.message, waiting.reason)


def _attempts(before: JobStatus, after: JobStatus, *, finished: bool) -> list[Notice]:
    """Attempts that ended and are followed by another one; the last one is told by the end of the job."""
    ended = {attempt.pod_uid for attempt in before.attempts if attempt.reason is not None}
    fresh = [attempt for attempt in after.attempts if attempt.reason is not None and attempt.pod_uid not in ended]
    return [
        _notice(
            Announcement.ATTEMPT_FAILED,
            after,
            f"Attempt {attempt.number}: {attempt.message or 'ended without a result'}",
            attempt.reason,
        )
        for attempt in (fresh[:-1] if finished else fresh)
        if attempt.reason not in {Reason.SUSPENDED, Reason.ENGINE_CHANGED}
    ]


def _lost_child(before: JobStatus, after: JobStatus) -> list[Notice]:
    """A run that follows another one took the place of a child that is gone, unless the operator deleted that child."""
    if before.run is None or after.run is None or before.run.number >= after.run.number:
        return []
    if before.engine_name != after.engine_name or before.run.stopped:
        return []
    message = f"Child Job {before.run.name} is gone; made {after.run.name}."
    return [_notice(Announcement.CHILD_LOST, after, message)]


def _notice(announcement: Announcement, status: JobStatus, message: str, reason: str | None = None) -> Notice:
    run = status.run.number if status.run is not None else 0
    suspensions = status.suspension.count if status.suspension is not None else 0
    return Notice(
        announcement.severity,
        announcement.reason or reason or "",
        message,
        announcement.action,
        f"{run}/{status.attempt or 0}/{suspensions}",
    )
