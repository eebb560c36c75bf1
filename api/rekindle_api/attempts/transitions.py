"""Decides how an attempt changes when something is seen of its resource. Pure: no clock, no database."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rekindle_api.attempts.models import AttemptStatus


@dataclass(frozen=True)
class ResultKeys:
    """Where the outputs of a completed attempt are."""

    result: str
    manifest: str
    preview: str | None = None
    thumbnail: str | None = None
    watermarked_result: str | None = None
    watermarked_preview: str | None = None
    watermarked_thumbnail: str | None = None
    bytes: int = 0
    """Size of all outputs together."""


@dataclass(frozen=True)
class Observation:
    """What was seen of an attempt's resource, or decided about it. `keys` is given with completed, and only then."""

    status: AttemptStatus
    progress_percent: int | None = None
    progress_stage: str | None = None
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    keys: ResultKeys | None = None
    warnings: tuple[str, ...] = ()
    unfulfilled: tuple[str, ...] = ()
    """Names of the resource's parameters that the engine could not honour."""
    estimated_completion_at: datetime | None = None
    resource_version: int | None = None
    """Version of the resource that was seen; Kubernetes counts it up, so what is older can be told."""

    def __post_init__(self) -> None:
        """Refuse a completed attempt without a result, and a result of another."""
        if (self.status is AttemptStatus.COMPLETED) != (self.keys is not None):
            raise ValueError("exactly a completed attempt has result keys")


@dataclass(frozen=True)
class Standing:
    """The part of an attempt's row that decisions look at."""

    status: AttemptStatus
    progress_percent: int | None = None
    progress_stage: str | None = None
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    estimated_completion_at: datetime | None = None
    resource_version: int | None = None
    retention_days: int | None = None


@dataclass(frozen=True)
class Change:
    """The columns to set. `finishes` marks the one change after which no other follows."""

    values: dict[str, object] = field(default_factory=dict)
    finishes: bool = False


def decide(standing: Standing, seen: Observation, now: datetime) -> Change | None:
    """Return what changes, or None when nothing does: a finished attempt never moves, a running one never goes back."""
    if standing.status.finished:
        return None
    seen = _storable(seen)
    if seen.status.finished:
        return Change(_final_values(standing, seen, now), finishes=True)
    if _late(standing, seen):
        return None
    status = AttemptStatus.PROCESSING if standing.status is AttemptStatus.PROCESSING else seen.status
    wanted: dict[str, object] = {
        "status": status,
        "progress_percent": standing.progress_percent if seen.progress_percent is None else seen.progress_percent,
        "progress_stage": seen.progress_stage or standing.progress_stage,
        "reason": seen.reason,
        "message": seen.message,
        "started_at": standing.started_at or seen.started_at,
        "estimated_completion_at": seen.estimated_completion_at,
    }
    changed = {name: value for name, value in wanted.items() if value != getattr(standing, name)}
    if not changed:
        return None
    return Change(changed if seen.resource_version is None else changed | {"resource_version": seen.resource_version})


def _storable(seen: Observation) -> Observation:
    """Replace what PostgreSQL cannot store: an engine may put a NUL character into any of its words."""
    return replace(
        seen,
        progress_stage=_without_nul(seen.progress_stage),
        reason=_without_nul(seen.reason),
        message=_without_nul(seen.message),
        warnings=tuple(warning.replace("\0", "\ufffd") for warning in seen.warnings),
    )


def _without_nul(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\ufffd")


def _late(standing: Standing, seen: Observation) -> bool:
    """Tell whether the row already shows a newer state of the resource: two bridges do not read at the same pace."""
    if seen.resource_version is None or standing.resource_version is None:
        return False
    return seen.resource_version < standing.resource_version


def _final_values(standing: Standing, seen: Observation, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {
        "status": seen.status,
        "reason": seen.reason,
        "message": seen.message,
        "started_at": standing.started_at or seen.started_at,
        "finished_at": seen.finished_at or now,
        "estimated_completion_at": None,
        "warnings": list(seen.warnings),
        "unfulfilled": list(seen.unfulfilled),
    }
    if standing.retention_days is not None:
        values["expires_at"] = now + timedelta(days=standing.retention_days)
    if seen.keys is not None:
        values |= {
            "progress_percent": 100,
            "result_key": seen.keys.result,
            "manifest_key": seen.keys.manifest,
            "preview_key": seen.keys.preview,
            "thumbnail_key": seen.keys.thumbnail,
            "watermarked_result_key": seen.keys.watermarked_result,
            "watermarked_preview_key": seen.keys.watermarked_preview,
            "watermarked_thumbnail_key": seen.keys.watermarked_thumbnail,
            "stored_bytes": seen.keys.bytes,
        }
    return values
