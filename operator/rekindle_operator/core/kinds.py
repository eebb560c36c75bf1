"""The kinds of job that the operator runs. A further kind is one more declaration in this file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rekindle_crds import (
    AnimationJob,
    JobStatus,
    ObjectMeta,
    Operation,
    OutputLocation,
    RestoreJob,
    SourceLocation,
)
from rekindle_crds.lifecycle import Lifecycle


class JobResource(Protocol):
    """What every job resource has, whatever it does."""

    @property
    def metadata(self) -> ObjectMeta:
        """Standard object metadata."""

    @property
    def spec(self) -> Lifecycle:
        """The part of the specification that all kinds share."""

    @property
    def status(self) -> JobStatus:
        """What the operator last wrote."""


Resource = TypeVar("Resource", bound=JobResource)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The job of another kind whose result is the source of this one."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class JobKind(Generic[Resource]):
    """All that the operator needs to know about one kind of job."""

    kind: str
    """Kind of the custom resource."""
    plural: str
    """Its plural in the API."""
    letter: str
    """Stands for the kind in the names of child Jobs."""
    operation: Operation
    """What an Engine must offer."""
    model: type[Resource]
    """Model of the custom resource."""
    source: Callable[[Resource], SourceLocation | Upstream]
    """The photo, or the job whose result it is."""
    output: Callable[[Resource], OutputLocation]
    """Where the outputs go."""
    parameters: Callable[[Resource], dict[str, Any]]
    """The fields of the task that say how it is done."""


RESTORE_JOB = JobKind(
    kind="RestoreJob",
    plural="restorejobs",
    letter="r",
    operation=Operation.RESTORE,
    model=RestoreJob,
    source=lambda job: job.spec.source,
    output=lambda job: job.spec.output,
    parameters=lambda job: {"restore": job.spec.restore},
)


def _animation_source(job: AnimationJob) -> SourceLocation | Upstream:
    source = job.spec.source
    if source.bucket is None or source.key is None:
        return Upstream(RESTORE_JOB.kind, source.restore_job_name or "")
    return SourceLocation(bucket=source.bucket, key=source.key)


ANIMATION_JOB = JobKind(
    kind="AnimationJob",
    plural="animationjobs",
    letter="a",
    operation=Operation.ANIMATE,
    model=AnimationJob,
    source=_animation_source,
    output=lambda job: job.spec.output,
    parameters=lambda job: {"animation": job.spec.animation},
)

KINDS: dict[str, JobKind[Any]] = {kind.kind: kind for kind in (RESTORE_JOB, ANIMATION_JOB)}
