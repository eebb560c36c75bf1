"""The form of an operation: a decoded photo in, files out; fetching and committing are the same for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rekindle_crds import StepRecord
from rekindle_worker.imaging.encode import EncodedFile
from rekindle_worker.photo import Photo
from rekindle_worker.progress import Report


@dataclass(frozen=True, slots=True)
class Room:
    """What an operation works with besides the photo."""

    folder: Path
    """Empty folder for its files."""
    threads: int
    report: Report
    """Called with a stage and how much of it is done; what it raises ends the work."""


@dataclass(frozen=True, slots=True)
class Made:
    """What an operation made, and how."""

    files: tuple[EncodedFile, ...]
    steps: tuple[StepRecord, ...]
    warnings: tuple[str, ...]
    unfulfilled: tuple[str, ...]
    """Names of the parameters that could not be honoured."""


class Work(Protocol):
    """One operation with its parameters."""

    @property
    def stages(self) -> Mapping[str, float]:
        """Every stage with its usual share of the time, in order."""

    @property
    def enough(self) -> tuple[int, int] | None:
        """Lengths of the photo's shorter and longer side that suffice; None when all of its pixels are wanted."""

    def __call__(self, photo: Photo, room: Room) -> Made:
        """Do it."""
