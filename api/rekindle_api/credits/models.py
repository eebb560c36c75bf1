"""The tables of credits. A deferred trigger refuses a commit after which an account does not add up."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, new_id, one_of


class LotSource(StrEnum):
    """Where credits came from."""

    FREE = "free"
    SUBSCRIPTION = "subscription"
    TOP_UP = "top_up"
    ADJUSTMENT = "adjustment"
    RETURNED = "returned"
    """A released hold on a lot that had expired meanwhile."""


class EntryKind(StrEnum):
    """Why a balance changed."""

    GRANTED = "granted"
    SPENT = "spent"
    EXPIRED = "expired"
    REVERSED = "reversed"
    """Taken back because the payment was refunded or disputed."""
    ADJUSTED = "adjusted"
    """Changed by an administrator."""


class HoldState(StrEnum):
    """What became of reserved credits."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"


class CreditAccount(Timestamps, Base):
    """The sums of one user, and the row that everything on their credits locks first."""

    __tablename__ = "credit_accounts"
    __table_args__ = (
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("debt >= 0", name="debt"),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    balance: Mapped[int] = mapped_column(server_default="0")
    """Sum of the user's entries; only the trigger on credit_entries writes it. Negative while there is debt alone."""
    held: Mapped[int] = mapped_column(server_default="0")
    """Sum of the open holds."""
    debt: Mapped[int] = mapped_column(server_default="0")
    """Credits that were taken back after they had been spent; the next grant pays it."""


class CreditLot(Timestamps, Base):
    """Credits that came together and expire together."""

    __tablename__ = "credit_lots"
    __table_args__ = (
        one_of("source", LotSource),
        CheckConstraint("granted > 0", name="granted"),
        CheckConstraint("held >= 0 AND held <= remaining AND remaining <= granted", name="remaining"),
        UniqueConstraint("source", "source_reference"),
        Index("ix_credit_lots_spendable", "user_id", "expires_at", postgresql_where=text("remaining > 0")),
        Index("ix_credit_lots_expires_at", "expires_at", postgresql_where=text("remaining > held")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    source: Mapped[str]
    source_reference: Mapped[str]
    """What was granted for: an invoice, a checkout session, a user; one grant for each."""
    granted: Mapped[int]
    remaining: Mapped[int]
    """What is neither spent, expired nor taken back; includes what is held."""
    held: Mapped[int] = mapped_column(server_default="0")
    expires_at: Mapped[datetime | None]


class CreditEntry(Base):
    """One change of a balance; appended and never changed."""

    __tablename__ = "credit_entries"
    __table_args__ = (
        one_of("kind", EntryKind),
        CheckConstraint("amount <> 0", name="amount"),
        UniqueConstraint("kind", "reference", "lot_id", postgresql_nulls_not_distinct=True),
        Index("ix_credit_entries_user_id_id", "user_id", text("id DESC")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("credit_lots.id"))
    kind: Mapped[str]
    amount: Mapped[int]
    reference: Mapped[str]
    """What the change is for; the same kind of change of one lot happens once for it."""
    attempt_id: Mapped[uuid.UUID | None]
    description: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CreditHold(Base):
    """Credits reserved for one attempt: captured when it completes, released when it ends otherwise."""

    __tablename__ = "credit_holds"
    __table_args__ = (
        one_of("state", HoldState),
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("(state = 'held') = (resolved_at IS NULL)", name="resolved_at"),
        Index("ix_credit_holds_user_id", "user_id", postgresql_where=text("state = 'held'")),
    )

    attempt_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    credits: Mapped[int]
    description: Mapped[str]
    """What the history says when they are spent."""
    state: Mapped[str] = mapped_column(server_default=HoldState.HELD)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    resolved_at: Mapped[datetime | None]


class CreditHoldPart(Base):
    """How much of a hold lies on which lot."""

    __tablename__ = "credit_hold_parts"
    __table_args__ = (CheckConstraint("credits > 0", name="credits"),)

    attempt_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("credit_holds.attempt_id", ondelete="CASCADE"), primary_key=True
    )
    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("credit_lots.id"), primary_key=True)
    credits: Mapped[int]


class FreeCreditClaim(Base):
    """Free credits are given once for each verified e-mail, whatever becomes of the account."""

    __tablename__ = "free_credit_claims"

    email_sha256: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 of the address in lower case."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
