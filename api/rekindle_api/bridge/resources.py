"""The kinds of custom resources that attempts become: the name, labels and spec of each. Pure.

A kind is a declaration here; everything else in the bridge is the same for all of them.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic

from rekindle_api.attempts.models import AnimationAttempt, Attempt, RestoreAttempt
from rekindle_api.attempts.repository import A
from rekindle_api.outbox.models import AttemptKind
from rekindle_crds import (
    GROUP,
    VERSION,
    AnimationJobSpec,
    AnimationParameters,
    AnimationSource,
    Label,
    OutputLocation,
    RestoreJobSpec,
    RestoreParameters,
    SourceLocation,
)
from rekindle_crds.crd import ANIMATION_JOB, RESTORE_JOB, Resource
from rekindle_crds.lifecycle import Lifecycle

MAX_START_SECONDS = 30 * 86_400
"""The longest start deadline that a resource may have."""


@dataclass(frozen=True)
class JobRules:
    """What holds for every job: how long it may wait and work, and the text of a watermark."""

    start_seconds: int
    active_seconds: int
    watermark: str


@dataclass(frozen=True)
class Kind(Generic[A]):
    """One kind of attempt and the custom resource that it becomes."""

    attempts: AttemptKind
    table: type[A]
    resource: Resource
    initial: str
    """Begins the names of its resources."""
    spec: Callable[[A, JobRules], Lifecycle]

    def name_of(self, attempt_id: uuid.UUID) -> str:
        """Return the name of an attempt's resource: derived, so that a second try to create it finds the first."""
        return f"{self.initial}-{attempt_id.hex}"

    def resource_of(self, attempt: A, namespace: str, rules: JobRules) -> dict[str, Any]:
        """Return the custom resource of an attempt as the API server takes it.

        Raises:
            pydantic.ValidationError: the row holds what no such resource may have.
        """
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": self.resource.kind,
            "metadata": {
                "name": self.name_of(attempt.id),
                "namespace": namespace,
                "labels": {
                    str(Label.OWNER): str(attempt.owner_id),
                    str(Label.PHOTO): str(attempt.job_id),
                    str(Label.ATTEMPT): str(attempt.id),
                },
            },
            "spec": self.spec(attempt, rules).wire(),
        }

    def attempt_of(self, resource: dict[str, Any]) -> uuid.UUID | None:
        """Return the attempt that a resource belongs to; None for one that this service did not make."""
        metadata = resource.get("metadata", {})
        try:
            attempt_id = uuid.UUID(metadata.get("labels", {}).get(Label.ATTEMPT, ""))
        except ValueError:
            return None
        return attempt_id if metadata.get("name") == self.name_of(attempt_id) else None


def _restore_spec(attempt: RestoreAttempt, rules: JobRules) -> RestoreJobSpec:
    return RestoreJobSpec(
        source=SourceLocation(bucket=attempt.bucket, key=attempt.source_key),
        output=OutputLocation(bucket=attempt.bucket, prefix=attempt.output_prefix),
        restore=RestoreParameters.model_validate(_parameters(attempt, rules)),
        priority=attempt.priority,
        start_deadline_seconds=rules.start_seconds,
        active_deadline_seconds=rules.active_seconds,
    )


def _animation_spec(attempt: AnimationAttempt, rules: JobRules) -> AnimationJobSpec:
    """Animate a stored photo; as long as its restoration runs, what the RestoreJob of that makes."""
    start = rules.start_seconds
    if attempt.source_key is None and attempt.restore_id is not None:
        source = AnimationSource(restore_job_name=RESTORE.name_of(attempt.restore_id))
        # The RestoreJob has its own time to start and to work.
        start = min(2 * start + rules.active_seconds, MAX_START_SECONDS)
    else:
        source = AnimationSource(bucket=attempt.bucket, key=attempt.source_key)
    return AnimationJobSpec(
        source=source,
        output=OutputLocation(bucket=attempt.bucket, prefix=attempt.output_prefix),
        animation=AnimationParameters.model_validate(_parameters(attempt, rules)),
        priority=attempt.priority,
        start_deadline_seconds=start,
        active_deadline_seconds=rules.active_seconds,
    )


def _parameters(attempt: Attempt, rules: JobRules) -> dict[str, Any]:
    return attempt.parameters | ({"watermark": rules.watermark} if attempt.watermark else {})


RESTORE = Kind(AttemptKind.RESTORE, RestoreAttempt, RESTORE_JOB, "r", _restore_spec)
ANIMATION = Kind(AttemptKind.ANIMATION, AnimationAttempt, ANIMATION_JOB, "a", _animation_spec)
KINDS: Mapping[AttemptKind, Kind[Any]] = MappingProxyType({kind.attempts: kind for kind in (RESTORE, ANIMATION)})
