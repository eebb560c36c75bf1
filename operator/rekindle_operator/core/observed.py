"""Everything that a decision is made from, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rekindle_crds import Engine, JobStatus, ObjectMeta, ProgressLine, Reason
from rekindle_crds.lifecycle import Lifecycle
from rekindle_operator.core.kinds import JobKind, JobResource, Upstream

CONTAINER = "engine"
"""Name of the container that does the work; a cluster may add others beside it."""


QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue's label: it admits a suspended Job of this queue by clearing its spec.suspend."""


@dataclass(frozen=True, slots=True)
class Container:
    """State of the container that does the work."""

    waiting_reason: str | None = None
    waiting_message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    termination_reason: str | None = None
    termination_message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a child Job. A pod that was deleted stays observed, with `gone` set, until its job has ended."""

    name: str
    uid: str
    created: datetime
    child_uid: str = ""
    """Uid of the Job that controls the pod."""
    resource_version: int = field(default=0, compare=False)
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    node_name: str | None = None
    scheduled_at: datetime | None = None
    unschedulable: str | None = None
    disruption: str | None = None
    """Why the cluster took the pod away, as one word and a sentence with a colon between, if it did."""
    deletion: datetime | None = None
    gone: bool = False
    container: Container = Container()

    @property
    def ended(self) -> bool:
        """Whether the container will never run again."""
        return self.gone or self.phase in {"Succeeded", "Failed"} or self.container.exit_code is not None

    @property
    def running(self) -> bool:
        """Whether the container runs now."""
        return self.container.started_at is not None and not self.ended


@dataclass(frozen=True, slots=True)
class Child:
    """One child Job."""

    name: str
    uid: str
    run: int
    created: datetime | None = None
    resource_version: int = field(default=0, compare=False)
    engine: str = ""
    template: str = ""
    """Stands for what its pods have of the Engine."""
    complete: bool = False
    failure: str | None = None
    """Message of the Job controller when it gave up."""
    deleting: bool = False
    suspended: bool = False
    """Whether a queue keeps the Job from running: the operator never suspends a child itself."""
    queued: bool = False
    """Whether a queue of Kueue admits the Job, so that it takes no place of ours."""

    @property
    def ended(self) -> bool:
        """Whether the Job makes no further pod."""
        return self.complete or self.failure is not None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server did not take the child Job."""

    reason: Reason
    message: str
    final: bool
    """True when asking again cannot help."""
    at: datetime
    count: int = 1

    @property
    def retry_at(self) -> datetime:
        """When to ask again: 5 seconds after the first refusal, then twice as long each time, at most 5 minutes."""
        return self.at + timedelta(seconds=min(300, 5 * 2 ** min(self.count - 1, 10)))


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the Job controller says of pods that it cannot make; no words when it says nothing."""

    message: str
    at: datetime
    """When that was read."""


@dataclass(frozen=True, slots=True)
class Source:
    """The job whose result is the source of this one, as it was read; no job when there is none of that name."""

    job: JobResource | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a job that could run stands in the line for a place."""

    full: Reason | None = None
    """EngineFull or NamespaceFull; none when the job may run now."""
    position: int | None = None
    """How many jobs go first, counting this one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What this installation allows. An empty set allows everything."""

    buckets: frozenset[str] = frozenset()
    service_accounts: frozenset[str] = frozenset()
    max_running: int | None = None
    """At most this many jobs run in a namespace at once; without limit when None."""

    def allows_account(self, name: str) -> bool:
        """Whether an Engine may use a service account."""
        return not self.service_accounts or name in self.service_accounts


@dataclass(frozen=True, slots=True)
class Observed:
    """One job and all that belongs to it, at one moment."""

    kind: JobKind[Any]
    job: JobResource
    engines: tuple[Engine, ...] = ()
    children: tuple[Child, ...] = ()
    pods: tuple[Pod, ...] = ()
    confirmed: bool = False
    """Whether children and pods were just listed from the API server rather than taken from the watches."""
    progress: Mapping[str, ProgressLine] = field(default_factory=dict)
    """Last line of progress by pod uid."""
    tails: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Last log lines by pod uid; empty when they could not be read."""
    refusal: Refusal | None = None
    trouble: Trouble | None = None
    source: Source | None = None
    """The job whose result is the source of this one; None when it has to be read first."""
    turn: Turn = Turn()
    progress_written_at: datetime | None = None
    position_written_at: datetime | None = None
    policy: Policy = Policy()

    @property
    def metadata(self) -> ObjectMeta:
        """Metadata of the job."""
        return self.job.metadata

    @property
    def spec(self) -> Lifecycle:
        """Lifecycle fields of the job."""
        return self.job.spec

    @property
    def status(self) -> JobStatus:
        """Status of the job as last written."""
        return self.job.status

    @property
    def upstream(self) -> Upstream | None:
        """The job whose result is the source of this one; None when the photo itself is."""
        source = self.kind.source(self.job)
        return source if isinstance(source, Upstream) else None

    @property
    def child(self) -> Child | None:
        """The child Job of the latest run."""
        return max(self.children, key=lambda child: child.run, default=None)
