"""The audit_logs table. A trigger refuses every change and deletion."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base


class AuditEntry(Base):
    """One act. It names its subjects without foreign keys, so it outlives them."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("ix_audit_logs_subject_id_at", "subject_id", "at"),
        Index("ix_audit_logs_actor_id_at", "actor_id", "at"),
        Index("ix_audit_logs_request_id", "request_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor_id: Mapped[uuid.UUID | None]
    """The user who acted; null for the service itself."""
    action: Mapped[str]
    """What was done, as subject.verb."""
    subject_id: Mapped[uuid.UUID | None]
    request_id: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
