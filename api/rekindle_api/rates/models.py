"""The rate_limits table."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base


class RateLimit(Base):
    """How far one user has used up one limit.

    References:
        The generic cell rate algorithm, ITU-T I.371: one moment stands for the whole state.
    """

    __tablename__ = "rate_limits"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    policy: Mapped[str] = mapped_column(primary_key=True)
    theoretical_arrival: Mapped[datetime] = mapped_column(index=True)
    """When a request would arrive that uses nothing up in advance."""
