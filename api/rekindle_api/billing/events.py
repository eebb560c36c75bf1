"""Which of Stripe's events matter, and which object each says to look at. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SOURCE = "stripe"
"""How these events are marked in the inbox."""
_Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Subject(StrEnum):
    """What an event says to look at."""

    SESSION = "checkout session"
    INVOICE = "invoice"
    SUBSCRIPTION = "subscription"
    PAYMENT = "payment"
    CUSTOMER = "customer"


SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {
        "checkout.session.completed": Subject.SESSION,
        "checkout.session.async_payment_succeeded": Subject.SESSION,
        "checkout.session.async_payment_failed": Subject.SESSION,
        "checkout.session.expired": Subject.SESSION,
        "invoice.paid": Subject.INVOICE,
        "invoice.payment_failed": Subject.INVOICE,
        "customer.subscription.created": Subject.SUBSCRIPTION,
        "customer.subscription.updated": Subject.SUBSCRIPTION,
        "customer.subscription.deleted": Subject.SUBSCRIPTION,
        "customer.subscription.paused": Subject.SUBSCRIPTION,
        "customer.subscription.resumed": Subject.SUBSCRIPTION,
        "customer.deleted": Subject.CUSTOMER,
        "charge.refunded": Subject.PAYMENT,
        "refund.created": Subject.PAYMENT,
        "refund.updated": Subject.PAYMENT,
        "refund.failed": Subject.PAYMENT,
        "charge.dispute.created": Subject.PAYMENT,
        "charge.dispute.updated": Subject.PAYMENT,
        "charge.dispute.funds_withdrawn": Subject.PAYMENT,
        "charge.dispute.funds_reinstated": Subject.PAYMENT,
        "charge.dispute.closed": Subject.PAYMENT,
    }
)
"""The events to subscribe the webhook endpoint to; others are answered and forgotten."""


class EventData(BaseModel):
    """The part of an event that holds the object."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    object: dict[str, Any]


class Event(BaseModel):
    """An event as Stripe sends it. Of the object only ids and our own marks are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: _Text
    type: _Text
    created: datetime
    livemode: bool
    data: EventData

    @property
    def object_id(self) -> str | None:
        """The id of what the event says to look at; None when there is nothing to look at."""
        subject = SUBJECTS.get(self.type)
        if subject is None:
            return None
        found = self.data.object.get("payment_intent" if subject is Subject.PAYMENT else "id")
        found = found.get("id") if isinstance(found, dict) else found
        return found if isinstance(found, str) and 0 < len(found) <= 255 else None

    @property
    def metadata(self) -> Mapping[str, str]:
        """The marks of the object, or of the subscription that an invoice is for; none where the object has none."""
        details = (self.data.object.get("parent") or {}).get("subscription_details") or {}
        found = self.data.object.get("metadata") or details.get("metadata") or {}
        return found if isinstance(found, dict) else {}


class Received(BaseModel):
    """The answer to the webhook."""

    received: bool = Field(default=True, description="The event need not be sent again.")
