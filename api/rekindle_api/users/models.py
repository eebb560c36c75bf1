"""The users table."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, new_id, one_of


class AccountStatus(StrEnum):
    """Whether an account may act."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class User(Timestamps, Base):
    """One account. Its key is the Supabase id; an e-mail can be missing, empty or used again."""

    __tablename__ = "users"
    __table_args__ = (one_of("status", AccountStatus),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    supabase_user_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    email: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=AccountStatus.ACTIVE)
    deleted_at: Mapped[datetime | None]
