"""What a decision can ask for."""

from dataclasses import dataclass
from datetime import datetime

from rekindle_crds import Engine, JobStatus


@dataclass(frozen=True, slots=True)
class CreateChild:
    """Make the child Job of a run."""

    run: int
    engine: Engine
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
class Confirm:
    """List children and pods from the API server before something is decided that cannot be taken back."""


Action = CreateChild | DeleteChild | ForceDeletePod | ReadTail | Confirm


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. The status is written first, then the actions are done in order."""

    status: JobStatus
    actions: tuple[Action, ...] = ()
    wake_up_at: datetime | None = None
    """When to decide again even if nothing is observed until then."""
