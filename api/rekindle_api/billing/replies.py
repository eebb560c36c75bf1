"""Requests and replies of the billing routes. Amounts are in the smallest unit of their currency."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from rekindle_api.settings import Costs, Tier


class CheckoutRequest(BaseModel):
    """What to buy: either a tier or a pack."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tier": "remember"}, {"pack": "small"}]})

    tier: Tier | None = Field(default=None, description="A subscription to this tier.")
    pack: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="Credits of this pack, once."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.tier is None) == (self.pack is None):
            raise ValueError("name either a tier or a pack")
        return self


class CheckoutReply(BaseModel):
    """A page of Stripe on which to pay."""

    id: str = Field(description="Stripe's id of the Checkout session.")
    url: str = Field(description="Where to send the customer.")
    expires_at: datetime = Field(description="Until when it can be paid. A second Checkout ends it earlier.")


class PortalReply(BaseModel):
    """A page of Stripe on which to change or cancel a subscription, and to see invoices."""

    url: str = Field(description="Where to send the customer; for a few minutes, once.")


class SubscriptionReply(BaseModel):
    """What the user has subscribed to."""

    tier: Tier = Field(description="What the account gets now.")
    status: str | None = Field(description="Stripe's word on the subscription that counts; null without one.")
    payment_failed: bool = Field(description="Whether the last payment failed; Stripe tries again for some days.")
    renews_at: datetime | None = Field(description="When the next month is billed; null when none will be.")
    ends_at: datetime | None = Field(description="When a cancelled subscription ends.")
    has_portal: bool = Field(description="Whether POST /api/v1/billing/portal has anything to show.")


class PaymentReply(BaseModel):
    """Money that was paid."""

    id: str = Field(description="Stripe's id of the invoice or the Checkout session.")
    description: str
    amount: int
    amount_refunded: int = Field(description="How much of it was paid back, or is in dispute.")
    currency: str
    credits: int = Field(description="Credits that it gave; negative where a smaller subscription took some.")
    paid_at: datetime


class Payments(BaseModel):
    """The newest payments first."""

    payments: list[PaymentReply]


class Price(BaseModel):
    """What something costs."""

    amount: int
    currency: str


class TierReply(BaseModel):
    """A tier, and what it gives."""

    tier: Tier
    credits: int = Field(description="Credits of each month; of the free tier, once.")
    storage_bytes: int
    retention_days: int | None = Field(description="How long photos and results are kept; null for good.")
    watermark: bool
    price: Price | None = Field(description="By the month; null when it is not for sale.")


class PackReply(BaseModel):
    """A pack of credits."""

    pack: str
    credits: int
    price: Price | None = Field(description="Once; null when it is not for sale.")


class PlansReply(BaseModel):
    """Everything that can be had, and what work costs."""

    available: bool = Field(description="Whether anything can be bought here.")
    tiers: list[TierReply]
    packs: list[PackReply]
    pack_months: int = Field(description="How long the credits of a pack last.")
    costs: Costs = Field(description="What work costs, in credits.")
