"""The photos table, and the jobs table with the upload session that belongs to each photo."""

import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, new_id, one_of


class PhotoStatus(StrEnum):
    """Whether a photo's bytes are stored and known to be good."""

    PENDING = "pending"
    READY = "ready"


FORM_LIFE = timedelta(hours=1)
"""After which nothing comes by the form of a presigned upload: signed for 15 minutes, the rest is for sending."""
_LIVE = text("status = 'ready' AND deleted_at IS NULL")


class Photo(Timestamps, Base):
    """One uploaded photo. A pending row stands for an upload under way; deleted_at hides a photo until it is swept."""

    __tablename__ = "photos"
    __table_args__ = (
        one_of("status", PhotoStatus),
        CheckConstraint(
            "status = 'pending' OR (sha256 IS NOT NULL AND size_bytes IS NOT NULL AND media_type IS NOT NULL"
            " AND width IS NOT NULL AND height IS NOT NULL AND thumbnail_key IS NOT NULL)",
            name="ready_is_complete",
        ),
        Index("uq_photos_owner_id_sha256", "owner_id", "sha256", unique=True, postgresql_where=_LIVE),
        Index(
            "ix_photos_owner_id_created_at",
            "owner_id",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_where=_LIVE,
        ),
        Index(
            "ix_photos_unfinished", "updated_at", postgresql_where=text("status = 'pending' OR deleted_at IS NOT NULL")
        ),
        Index("ix_photos_expires_at", "expires_at", postgresql_where=_LIVE),
        Index("ix_photos_announced", "created_at", postgresql_where=text("declared_bytes IS NOT NULL")),
        # All that the sum of a user's bytes reads.
        Index("ix_photos_stored", "owner_id", "id", postgresql_include=["size_bytes"], postgresql_where=_LIVE),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(server_default=PhotoStatus.PENDING)
    bucket: Mapped[str]
    original_key: Mapped[str]
    thumbnail_key: Mapped[str | None]
    sha256: Mapped[str | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    media_type: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    declared_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Largest size that a presigned upload may have; null once nothing can come by its form any more, and for an upload
    through the service."""
    declared_sha256: Mapped[str | None]
    """What a presigned upload must hash to, when its client said so."""
    expires_at: Mapped[datetime | None]
    """When the tier's retention ends, counted from the end of the last attempt; kept for good when null."""
    user_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    deleted_at: Mapped[datetime | None]


class UploadSession(Timestamps, Base):
    """What was done with one photo: the job of the URLs. It has the photo's id."""

    __tablename__ = "jobs"

    id: Mapped[uuid.UUID] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    selected_restore_id: Mapped[uuid.UUID | None]


def photo_prefix(owner_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Return the key prefix, ending in a slash, of everything that belongs to a photo."""
    return f"users/{owner_id}/photos/{photo_id}/"


def incoming_prefix(owner_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """Return the key prefix, ending in a slash, of what comes by the form of a presigned upload."""
    return f"{photo_prefix(owner_id, photo_id)}incoming/"
