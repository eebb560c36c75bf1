"""The webhook_events table."""

import uuid
from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, new_id

WEBHOOK_CHANNEL = "rekindle_webhooks"
"""PostgreSQL notifies it of each committed event that is to be handled; a wake-up only."""


class WebhookEvent(Base):
    """One event of a provider. It names the object that changed, which is read anew; no payload is kept."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_webhook_events_due", "available_at", postgresql_where=text("handled_at IS NULL")),
        Index("ix_webhook_events_object_id", "object_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    source: Mapped[str]
    external_id: Mapped[str]
    type: Mapped[str]
    object_id: Mapped[str | None]
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    available_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it may be handled: later after a failure."""
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    handled_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]
    """Set when it failed too often; an administrator can have it handled again."""
    outcome: Mapped[str | None]
    """What handling it did, in a word."""
    last_error: Mapped[str | None]
