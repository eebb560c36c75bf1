"""What a custom resource says about its attempt. Pure: no clock, no database, no S3."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from rekindle_api.attempts.models import AttemptStatus
from rekindle_api.attempts.transitions import Observation
from rekindle_api.bridge.resources import Kind
from rekindle_crds import Condition, JobStatus, Phase, Reason

MAX_MESSAGE_LENGTH = 400


@dataclass(frozen=True)
class Success:
    """The resource says that a result exists: to be believed when the objects are there."""

    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Sighting:
    """One look at a resource. `gone` is set when it was deleted and this was its last state."""

    kind: Kind[Any]
    attempt_id: uuid.UUID
    name: str
    seen: Observation | Success
    gone: bool = False
    cancelling: bool = False
    created_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the resource never changes its state again."""
        return isinstance(self.seen, Success) or self.seen.status.finished


def sighting_of(kind: Kind[Any], resource: dict[str, Any], *, gone: bool = False) -> Sighting | None:
    """Read a resource; None when it belongs to no attempt.

    A status that is not in the form of the contract says nothing but that the resource is there.
    """
    attempt_id = kind.attempt_of(resource)
    if attempt_id is None:
        return None
    try:
        status = JobStatus.model_validate(resource.get("status", {}))
    except ValidationError:
        status = JobStatus()
    metadata = resource["metadata"]
    return Sighting(
        kind=kind,
        attempt_id=attempt_id,
        name=metadata["name"],
        seen=_seen(status, _number(metadata.get("resourceVersion", ""))),
        gone=gone,
        cancelling=bool(resource.get("spec", {}).get("cancel", False)),
        created_at=_moment(metadata.get("creationTimestamp")),
    )


def _seen(status: JobStatus, version: int | None) -> Observation | Success:
    conditions = {condition.type: condition for condition in status.conditions}
    finished, succeeded = conditions.get("Finished"), conditions.get("Succeeded")
    if finished is None or finished.status != "True" or succeeded is None:
        return _unfinished(status, version)
    if succeeded.status == "True":
        return Success(status.start_time, status.completion_time)
    return _without_result(status, succeeded)


def _unfinished(status: JobStatus, version: int | None) -> Observation:
    """A retry that waits has been processed before: only the reason tells that it waits."""
    started = status.phase is Phase.RUNNING or status.start_time is not None
    progress, waiting = status.progress, status.waiting
    return Observation(
        status=AttemptStatus.PROCESSING if started else AttemptStatus.QUEUED,
        progress_percent=progress.percent if progress else None,
        progress_stage=progress.stage if progress else None,
        reason=waiting.reason if waiting else None,
        message=(waiting.message or None) if waiting else None,
        started_at=status.start_time,
        estimated_completion_at=progress.estimated_completion_time if progress else None,
        resource_version=version,
    )


def _without_result(status: JobStatus, succeeded: Condition) -> Observation:
    cancelled = succeeded.reason == Reason.CANCELLED
    return Observation(
        status=AttemptStatus.CANCELLED if cancelled else AttemptStatus.FAILED,
        reason=succeeded.reason,
        message=succeeded.message[:MAX_MESSAGE_LENGTH] or None,
        started_at=status.start_time,
        finished_at=status.completion_time,
    )


def _number(version: str) -> int | None:
    """Kubernetes compares resource versions as numbers; a server whose versions are none of it gets no order."""
    return int(version) if version.isascii() and version.isdigit() else None


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
