"""The kinds of job that the operator runs. A further kind is one more declaration in this file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rekindle_crds import Engine, JobStatus, ObjectMeta, Operation, RestoreJob, Task
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
    task: Callable[[Resource, Engine], Task]
    """What a pod on this Engine is told to do."""
    buckets: Callable[[Resource], frozenset[str]]
    """The S3 buckets that the pod reads and writes."""
    prefix: Callable[[Resource], str]
    """The key prefix that all its outputs lie under."""


def _restore_task(job: RestoreJob, engine: Engine) -> Task:
    return Task(
        operation=Operation.RESTORE,
        namespace=job.metadata.namespace,
        name=job.metadata.name,
        engine=engine.metadata.name,
        image=engine.spec.image,
        source=job.spec.source,
        output=job.spec.output,
        restore=job.spec.restore,
    )


RESTORE_JOB = JobKind(
    kind="RestoreJob",
    plural="restorejobs",
    letter="r",
    operation=Operation.RESTORE,
    model=RestoreJob,
    task=_restore_task,
    buckets=lambda job: frozenset({job.spec.source.bucket, job.spec.output.bucket}),
    prefix=lambda job: job.spec.output.prefix,
)

KINDS: dict[str, JobKind[Any]] = {RESTORE_JOB.kind: RESTORE_JOB}
