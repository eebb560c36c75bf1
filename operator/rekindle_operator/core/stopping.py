"""Why the operator stops a job before its own end, and when it will."""

from datetime import datetime, timedelta

from rekindle_crds import JobStatus, Reason
from rekindle_operator.core.attempts import History
from rekindle_operator.core.engines import template_of
from rekindle_operator.core.observed import Observed

MAX_DISRUPTIONS = 10

_WRITTEN: dict[str, Reason] = {
    Reason.CANCELLING: Reason.CANCELLED,
    Reason.SUSPENDING: Reason.SUSPENDED,
    Reason.ENGINE_CHANGED: Reason.ENGINE_CHANGED,
    Reason.START_DEADLINE_EXCEEDED: Reason.START_DEADLINE_EXCEEDED,
    Reason.ACTIVE_DEADLINE_EXCEEDED: Reason.ACTIVE_DEADLINE_EXCEEDED,
    Reason.TOO_MANY_DISRUPTIONS: Reason.TOO_MANY_DISRUPTIONS,
}
"""What the condition Reconciling says of a job that is being stopped, and why it is."""

GOES_ON = {Reason.SUSPENDED, Reason.ENGINE_CHANGED}
"""Why a child is stopped that another one follows."""
_CURABLE = {Reason.UNSCHEDULABLE, Reason.IMAGE_PULL_FAILED, Reason.CONTAINER_CONFIG_ERROR, Reason.POD_REFUSED}
"""Why no pod starts, where a change of the Engine may help."""


def stop_reason(observed: Observed, history: History, now: datetime) -> Reason | None:
    """Return why the job has to be stopped; None when it may go on.

    What was written holds from then on, whatever is observed later: an end for ever, a suspension until nothing of the
    job is left and the status says Suspended. A child that has ended is judged by what it did.
    """
    written = next((_WRITTEN[reason] for reason in _reconciling(observed.status) if reason in _WRITTEN), None)
    if written in GOES_ON and observed.spec.cancel:
        return Reason.CANCELLED
    if written is not None or (observed.child is not None and observed.child.ended):
        return written
    reasons = {
        Reason.CANCELLED: observed.spec.cancel,
        Reason.TOO_MANY_DISRUPTIONS: history.disruptions > MAX_DISRUPTIONS,
        Reason.ACTIVE_DEADLINE_EXCEEDED: _reached(active_deadline(observed, history, now), now),
        Reason.START_DEADLINE_EXCEEDED: _reached(start_deadline(observed, history), now),
    }
    reasons[Reason.SUSPENDED] = observed.spec.suspend
    reasons[Reason.ENGINE_CHANGED] = _outdated(observed)
    return next((reason for reason, holds in reasons.items() if holds), None)


def _outdated(observed: Observed) -> bool:
    """Whether no pod of the child can start and the Engine was changed since, which may be what helps."""
    child, waiting = observed.child, observed.status.waiting
    if child is None or child.deleting or waiting is None or waiting.reason not in _CURABLE:
        return False
    engine = next((engine for engine in observed.engines if engine.metadata.name == child.engine), None)
    started = any(pod.container.started_at is not None for pod in observed.pods if pod.child_uid in {"", child.uid})
    return engine is not None and not started and child.template not in {"", template_of(engine.spec)}


def words_of(observed: Observed, stop: Reason) -> str:
    """Return the sentence that says why a job was stopped."""
    spec = observed.spec
    return {
        Reason.CANCELLED: "The job was cancelled.",
        Reason.SUSPENDED: "The job is suspended; set spec.suspend to false to go on.",
        Reason.ENGINE_CHANGED: "The Engine was changed; the child Job is made anew.",
        Reason.TOO_MANY_DISRUPTIONS: f"More than {MAX_DISRUPTIONS} pods were disrupted.",
        Reason.ACTIVE_DEADLINE_EXCEEDED: f"Containers ran for more than {spec.active_deadline_seconds} s in all.",
        Reason.START_DEADLINE_EXCEEDED: f"No container started within {spec.start_deadline_seconds} s.",
    }.get(stop, stop.meaning)


def start_deadline(observed: Observed, history: History) -> datetime | None:
    """Return when a job that has not started is given up; None without a deadline, when suspended or once started."""
    seconds, created = observed.spec.start_deadline_seconds, observed.metadata.creation_timestamp
    started = any(attempt.start_time is not None for attempt in history.attempts)
    if seconds is None or created is None or started or observed.status.start_time is not None:
        return None
    suspension = observed.status.suspension
    if observed.spec.suspend or (suspension is not None and suspension.since is not None):
        return None
    return created + timedelta(seconds=seconds + (suspension.seconds if suspension is not None else 0))


def active_deadline(observed: Observed, history: History, now: datetime) -> datetime | None:
    """Return when the containers will have run for as long as they may; None while none runs and none has to end."""
    limit = observed.spec.active_deadline_seconds
    if limit is None:
        return None
    remaining = limit - history.active_seconds
    started = [pod.container.started_at for pod in observed.pods if pod.running and pod.container.started_at]
    if started:
        return min(started) + timedelta(seconds=remaining)
    return now if remaining <= 0 else None


def _reconciling(status: JobStatus) -> list[str]:
    return [condition.reason for condition in status.conditions if condition.type == "Reconciling"]


def _reached(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
