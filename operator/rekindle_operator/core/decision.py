"""What a decision can ask for."""

from dataclasses import dataclass, replace
from datetime import datetime

from rekindle_crds import Engine, JobStatus, SourceLocation
from rekindle_operator.core.kinds import Upstream


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Make the child Job of a run."""

    run: int
    engine: Engine
    source: SourceLocation
    backoff_limit: int


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Delete a child Job together with its pods, which get their grace period."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ForceDeletePod:
    """Remove a pod whose node does not answer any more."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ReadTail:
    """Read the last log lines of a pod."""

    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class ReadTrouble:
    """Read why the Job controller makes no pod for a child."""

    child_uid: str


@dataclass(frozen=True, slots=True)
class ReadSource:
    """Read the job whose result is the source of this one."""

    upstream: Upstream


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete the job itself: its time to live after its end is over."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """List children and pods from the API server before something is decided that cannot be taken back."""


Action = CreateChild | DeleteChild | DeleteJob | ForceDeletePod | ReadTail | ReadTrouble | ReadSource | Confirm


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. The status is written first, then the actions are done in order."""

    status: JobStatus
    actions: tuple[Action, ...] = ()
    wake_up_at: datetime | None = None
    """When to decide again even if nothing is observed until then."""

    def woken(self, *moments: datetime | None) -> "Decision":
        """Return the decision, to be made again at the earliest of the moments at the latest."""
        return replace(self, wake_up_at=min((moment for moment in moments if moment is not None), default=None))
