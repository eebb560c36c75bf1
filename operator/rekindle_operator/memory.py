"""What the operator remembers of a job beyond the cluster's objects; it can be lost at any time."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rekindle_crds import ProgressLine
from rekindle_operator.core.observed import Refusal, Source, Trouble


class Key(NamedTuple):
    """Names one job, or one Engine."""

    kind: str
    namespace: str
    name: str


@dataclass(slots=True)
class Memory:
    """What was read, refused or written of late for one job."""

    refusal: Refusal | None = None
    tails: dict[str, tuple[str, ...]] = field(default_factory=dict)
    progress: dict[str, ProgressLine] = field(default_factory=dict)
    forced: dict[str, datetime] = field(default_factory=dict)
    """When pods were removed by force, by their uids."""
    trouble: Trouble | None = None
    progress_written_at: datetime | None = None
    position_written_at: datetime | None = None
    source: Source | None = None
    confirmed: bool = False

    def forget_readings(self) -> None:
        """Forget what holds for one decision only."""
        self.source, self.confirmed = None, False
