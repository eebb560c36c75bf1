"""The tables of billing. Ids and states are Stripe's own; what they mean here is decided in one place."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rekindle_api.database.base import Base, Timestamps, one_of


class CheckoutMode(StrEnum):
    """What a checkout sells."""

    SUBSCRIPTION = "subscription"
    PAYMENT = "payment"


class Subscription(Timestamps, Base):
    """One subscription as Stripe had it when it was last read."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    status: Mapped[str]
    """Stripe's word."""
    tier: Mapped[str]
    price_id: Mapped[str]
    current_period_start: Mapped[datetime | None]
    current_period_end: Mapped[datetime | None]
    cancel_at_period_end: Mapped[bool] = mapped_column(server_default="false")
    superseded: Mapped[bool] = mapped_column(server_default="false")
    """A second subscription beside a live one: it is cancelled and paid back, and gives nothing."""
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Checkout(Timestamps, Base):
    """One Checkout session that was opened for a user."""

    __tablename__ = "checkouts"
    __table_args__ = (one_of("mode", CheckoutMode),)

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    mode: Mapped[str]
    item: Mapped[str]
    """The tier or the pack."""
    status: Mapped[str] = mapped_column(server_default="open")
    """Stripe's word: open, complete or expired."""
    expires_at: Mapped[datetime]


class Payment(Timestamps, Base):
    """Money that a user paid: for a pack (a checkout session) or for a period of a subscription (an invoice)."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount >= 0 AND amount_refunded >= 0 AND amount_refunded <= amount", name="amount_refunded"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """Id of the checkout session or the invoice: the reference of its grant of credits."""
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    payment_intent_id: Mapped[str | None] = mapped_column(unique=True)
    subscription_id: Mapped[str | None] = mapped_column(index=True)
    description: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    """In the smallest unit of the currency."""
    amount_refunded: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Paid back, or in dispute."""
    currency: Mapped[str]
    credits: Mapped[int] = mapped_column(server_default="0")
    """What it granted; negative where a smaller subscription gave money back and took credits."""
    paid_at: Mapped[datetime]
