"""The users table."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, new_id, one_of
from rekindle_api.settings import Tier


class AccountStatus(StrEnum):
    """Whether an account may act."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETION_REQUESTED = "deletion_requested"
    """Within the grace period: the owner can still take the wish back."""
    DELETED = "deleted"
    """A tombstone: the personal data are gone, and nothing brings the account back."""


class User(Timestamps, Base):
    """One account. Its key is the Supabase id; an e-mail can be missing, empty or used again."""

    __tablename__ = "users"
    __table_args__ = (
        one_of("status", AccountStatus),
        one_of("tier", Tier),
        Index("ix_users_email", text("lower(email)")),
        Index("ix_users_deletion_requested_at", "deletion_requested_at"),
        Index("ix_users_unpurged", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL AND purged_at IS NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    supabase_user_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    email: Mapped[str | None]
    email_verified_at: Mapped[datetime | None]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    profile_image_url: Mapped[str | None]
    profile_changed_at: Mapped[datetime | None]
    """When the owner last changed name or picture here: from then on Supabase's are not taken over."""
    status: Mapped[str] = mapped_column(server_default=AccountStatus.ACTIVE)
    banned_until: Mapped[datetime | None]
    """Supabase lets nobody sign in until then; nor do we."""
    supabase_updated_at: Mapped[datetime | None]
    """`updated_at` of the Supabase record that was last applied: an older one comes too late."""
    tier: Mapped[str] = mapped_column(server_default=Tier.FREE)
    renews_at: Mapped[datetime | None]
    """When the paid month ends and the next one is billed."""
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    deletion_requested_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]
    """When nothing was left of a deleted account but this row and its entries in the ledger."""
