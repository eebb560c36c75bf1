"""What is left to do for a job that has ended."""

from datetime import datetime, timedelta

from rekindle_crds import JobStatus, Phase
from rekindle_crds.lifecycle import Lifecycle
from rekindle_operator.core.decision import Decision, DeleteChild, DeleteJob
from rekindle_operator.core.observed import Observed


def settle(observed: Observed, now: datetime) -> Decision:
    """Decide what to do for a finished job.

    It changes no more, except that it admits to have seen a changed spec: `kubectl wait` believes a condition only when
    the condition itself has seen the latest generation. It is deleted when its time to live is over.
    """
    seen = {"observed_generation": observed.metadata.generation}
    conditions = [condition.model_copy(update=seen) for condition in observed.status.conditions]
    status = observed.status.model_copy(update={**seen, "conditions": conditions})
    stopped = observed.status.phase != Phase.SUCCEEDED
    left = [child for child in observed.children if stopped and not child.ended and not child.deleting]
    if left:
        return Decision(status, tuple(DeleteChild(child.name, child.uid) for child in left))
    expiry = expires_at(observed.spec, observed.status)
    if expiry is not None and expiry <= now:
        return Decision(observed.status, (DeleteJob(),))
    return Decision(status).woken(expiry)


def expires_at(spec: Lifecycle, status: JobStatus) -> datetime | None:
    """Return when a finished job is deleted; None when it stays."""
    succeeded = status.phase == Phase.SUCCEEDED
    seconds = spec.ttl_seconds_after_succeeded if succeeded else spec.ttl_seconds_after_failed
    if seconds is None or status.completion_time is None:
        return None
    return status.completion_time + timedelta(seconds=seconds)
