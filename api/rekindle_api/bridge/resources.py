"""The custom resource of an attempt: its name, its labels and its spec. Pure."""

import uuid
from dataclasses import dataclass
from typing import Any

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_crds import (
    Label,
    ObjectMeta,
    OutputLocation,
    RestoreJob,
    RestoreJobSpec,
    RestoreParameters,
    SourceLocation,
)


@dataclass(frozen=True)
class Deadlines:
    """How long a job may wait and work."""

    start_seconds: int
    active_seconds: int


def name_of(attempt_id: uuid.UUID) -> str:
    """Return the name of an attempt's resource: derived, so that a second try to create it finds the first."""
    return f"r-{attempt_id.hex}"


def restore_job(attempt: RestoreAttempt, namespace: str, deadlines: Deadlines) -> dict[str, Any]:
    """Return the RestoreJob of an attempt as the API server takes it.

    Raises:
        pydantic.ValidationError: the row holds what no RestoreJob may have.
    """
    job = RestoreJob(
        metadata=ObjectMeta(
            name=name_of(attempt.id),
            namespace=namespace,
            labels={
                Label.OWNER: str(attempt.owner_id),
                Label.PHOTO: str(attempt.job_id),
                Label.ATTEMPT: str(attempt.id),
            },
        ),
        spec=RestoreJobSpec(
            source=SourceLocation(bucket=attempt.bucket, key=attempt.source_key),
            output=OutputLocation(bucket=attempt.bucket, prefix=attempt.output_prefix),
            restore=RestoreParameters.model_validate(attempt.parameters),
            start_deadline_seconds=deadlines.start_seconds,
            active_deadline_seconds=deadlines.active_seconds,
        ),
    )
    wire = job.wire()
    return {
        "apiVersion": wire["apiVersion"],
        "kind": wire["kind"],
        "metadata": {name: wire["metadata"][name] for name in ("name", "namespace", "labels")},
        "spec": wire["spec"],
    }


def attempt_of(resource: dict[str, Any]) -> uuid.UUID | None:
    """Return the attempt that a resource belongs to; None for one that this service did not make."""
    metadata = resource.get("metadata", {})
    try:
        attempt_id = uuid.UUID(metadata.get("labels", {}).get(Label.ATTEMPT, ""))
    except ValueError:
        return None
    return attempt_id if metadata.get("name") == name_of(attempt_id) else None
