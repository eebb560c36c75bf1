"""The outbox table."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, one_of

OUTBOX_CHANNEL = "rekindle_outbox"
"""PostgreSQL notifies it of each committed order; the payload is the attempt's id, a wake-up only."""


class AttemptKind(StrEnum):
    """Which table an attempt is in, and which kind of custom resource it is."""

    RESTORE = "restore"
    ANIMATION = "animation"


class Desired(StrEnum):
    """What should become of an attempt's resource. Cancel wins for good, so the two can't change places."""

    CREATE = "create"
    CANCEL = "cancel"


class OutboxEntry(Timestamps, Base):
    """What the bridge has to do for one attempt. It deletes the row when that is done."""

    __tablename__ = "outbox"
    __table_args__ = (
        one_of("kind", AttemptKind),
        one_of("desired", Desired),
        Index("ix_outbox_due", "available_at", postgresql_where=text("parked_at IS NULL")),
    )

    attempt_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    desired: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    """Counts changes of `desired`: who worked on an older version must not delete the row."""
    available_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it may be taken: later after a failure."""
    claimed_until: Mapped[datetime | None]
    """Until then one process works on it alone, so that a create and its cancel never run side by side."""
    attempts: Mapped[int] = mapped_column(server_default="0")
    parked_at: Mapped[datetime | None]
    """Set when it failed too often; it is tried again after a while."""
    last_error: Mapped[str | None]
