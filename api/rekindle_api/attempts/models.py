"""The restore_attempts and animation_attempts tables."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from rekindle_api.database.base import Base, Timestamps, new_id, one_of


class AttemptStatus(StrEnum):
    """Where an attempt stands."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether an attempt in this state never changes again."""
        return self not in OPEN


OPEN = (AttemptStatus.QUEUED, AttemptStatus.PROCESSING)
_OPEN_SQL = "status IN ('queued', 'processing')"

ATTEMPT_CHANNEL = "rekindle_attempts"
"""PostgreSQL notifies it of each committed change of an attempt; the payload is the photo's id, a wake-up only."""


class AttemptColumns(Timestamps):
    """What restore and animation attempts have in common.

    `version` counts the changes of the row: it is the event id of streams and the guard of each compare-and-set.
    """

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    status: Mapped[str] = mapped_column(server_default=AttemptStatus.QUEUED)
    version: Mapped[int] = mapped_column(server_default="1")
    model: Mapped[str | None]
    requested: Mapped[dict[str, Any]]
    """The parameters as the client sent them."""
    parameters: Mapped[dict[str, Any]]
    """The operation's parameters as the custom resource gets them."""
    request_digest: Mapped[str]
    """Digest of what decides the result: equal requests are answered with the running attempt."""
    bucket: Mapped[str]
    output_prefix: Mapped[str]
    progress_percent: Mapped[int | None]
    progress_stage: Mapped[str | None]
    estimated_completion_at: Mapped[datetime | None]
    """About when the running attempt will end, as the operator estimates it."""
    reason: Mapped[str | None]
    """One word of rekindle_crds.Reason, or of the bridge, for a failure or a wait."""
    message: Mapped[str | None]
    preview_key: Mapped[str | None]
    result_key: Mapped[str | None]
    thumbnail_key: Mapped[str | None]
    manifest_key: Mapped[str | None]
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    """What was asked for and could not be done, in sentences for people."""
    unfulfilled: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    """Names of the resource's parameters that the engine could not honour."""
    resource_version: Mapped[int | None] = mapped_column(BigInteger)
    """The custom resource's version behind the last change: what an older one says comes too late."""
    credits: Mapped[int] = mapped_column(server_default="0")
    """What the attempt costs when it completes."""
    credits_charged: Mapped[int | None]
    """What it has cost: known when it has ended."""
    priority: Mapped[int] = mapped_column(server_default="0")
    """Priority of its resource: the tier's when it was asked for."""
    watermark: Mapped[bool] = mapped_column(server_default="false")
    """Whether the worker makes watermarked copies too: the tier's rule when it was asked for."""
    watermarked_result_key: Mapped[str | None]
    watermarked_preview_key: Mapped[str | None]
    watermarked_thumbnail_key: Mapped[str | None]
    """What stands for the thumbnail where only watermarked copies are shown; a small thumbnail is that itself."""
    stored_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Size of all its outputs."""
    retention_days: Mapped[int | None]
    """How long it is kept after its end: the tier's rule when it was asked for; for good when null."""
    expires_at: Mapped[datetime | None]
    """When that time is over; set by its end."""
    cancel_requested_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    @declared_attr
    @classmethod
    def job_id(cls) -> Mapped[uuid.UUID]:
        """The upload session, and so the photo, that the attempt belongs to."""
        return mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)

    @declared_attr
    @classmethod
    def owner_id(cls) -> Mapped[uuid.UUID]:
        """The user who asked."""
        return mapped_column(ForeignKey("users.id"), index=True)


def _constraints(table: str) -> tuple[CheckConstraint | Index, ...]:
    return (
        one_of("status", AttemptStatus),
        CheckConstraint("progress_percent BETWEEN 0 AND 100", name="progress_percent"),
        CheckConstraint(f"(finished_at IS NULL) = ({_OPEN_SQL})", name="finished_at"),
        CheckConstraint("status <> 'completed' OR result_key IS NOT NULL", name="completed_has_result"),
        Index(
            f"uq_{table}_running_request",
            "job_id",
            "request_digest",
            unique=True,
            postgresql_where=text(f"{_OPEN_SQL} AND cancel_requested_at IS NULL AND deleted_at IS NULL"),
        ),
        Index(f"ix_{table}_open", "updated_at", postgresql_where=text(_OPEN_SQL)),
        Index(f"ix_{table}_expires_at", "expires_at", postgresql_where=text("deleted_at IS NULL")),
        # All that the sum of a user's bytes reads.
        Index(
            f"ix_{table}_stored",
            "owner_id",
            "job_id",
            postgresql_include=["stored_bytes"],
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )


class RestoreAttempt(AttemptColumns, Base):
    """One try to restore a photo: one RestoreJob."""

    __tablename__ = "restore_attempts"
    __table_args__ = _constraints(__tablename__)

    source_key: Mapped[str]
    credits_without_colour: Mapped[int | None]
    """What it costs when the engine cannot add the colour that was asked for; null when none was."""
    source_restore_id: Mapped[uuid.UUID | None]
    """The earlier attempt whose result is the source; the photo's original when null."""


class AnimationAttempt(AttemptColumns, Base):
    """One try to animate a photo: one AnimationJob."""

    __tablename__ = "animation_attempts"
    __table_args__ = _constraints(__tablename__)

    source_key: Mapped[str | None]
    """Null while the restore attempt that makes the source still runs."""
    restore_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("restore_attempts.id", ondelete="SET NULL"))
    """The restore attempt whose result is animated; the photo's original when null."""


Attempt = RestoreAttempt | AnimationAttempt
"""An attempt of either kind."""
