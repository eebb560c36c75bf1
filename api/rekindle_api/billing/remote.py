"""What Stripe says of its objects: the fields that matter here, as frozen values. Amounts are in the smallest unit."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field


def _id(value: object) -> object:
    """Return the id of a reference, whether Stripe expanded it or not."""
    return value.get("id") if isinstance(value, dict) else value


def _data(value: object) -> object:
    """Return the items of one of Stripe's lists."""
    return value.get("data", []) if isinstance(value, dict) else value or []


Reference = Annotated[str | None, BeforeValidator(_id)]
Metadata = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]


class Remote(BaseModel):
    """One object as Stripe has it now."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str


class RemoteCustomer(Remote):
    """A customer; Stripe keeps the id of a deleted one."""

    deleted: bool = False


class RemotePrice(Remote):
    """A price."""

    active: bool
    currency: str
    unit_amount: int | None = None
    interval: str | None = Field(default=None, validation_alias=AliasPath("recurring", "interval"))


class SubscriptionItem(Remote):
    """What a subscription is for, and until when it is paid."""

    price: Reference = None
    current_period_start: datetime
    current_period_end: datetime


class RemoteSubscription(Remote):
    """A subscription."""

    customer: Reference = None
    status: str
    metadata: Metadata = {}
    items: Annotated[tuple[SubscriptionItem, ...], BeforeValidator(_data)] = ()
    cancel_at_period_end: bool = False
    cancel_at: datetime | None = None
    created: datetime
    ended_at: datetime | None = None


class InvoiceLine(Remote):
    """One line of an invoice."""

    amount: int
    price: Reference = Field(default=None, validation_alias=AliasPath("pricing", "price_details", "price"))
    details: dict[str, Any] | None = Field(
        default=None, validation_alias=AliasPath("parent", "subscription_item_details")
    )
    period_start: datetime = Field(validation_alias=AliasPath("period", "start"))
    period_end: datetime = Field(validation_alias=AliasPath("period", "end"))

    @property
    def of_subscription(self) -> bool:
        """Whether it is for a period of a subscription."""
        return self.details is not None

    @property
    def proration(self) -> bool:
        """Whether it is for a part of a period, because the subscription changed."""
        return bool((self.details or {}).get("proration"))


class InvoicePayment(Remote):
    """How an invoice was paid, or is to be."""

    status: str
    invoice: Reference = None
    payment_intent: Reference = Field(default=None, validation_alias=AliasPath("payment", "payment_intent"))


class RemoteInvoice(Remote):
    """An invoice, with its lines and payments."""

    status: str | None = None
    amount_paid: int = 0
    currency: str
    created: datetime
    subscription: Reference = Field(
        default=None, validation_alias=AliasPath("parent", "subscription_details", "subscription")
    )
    metadata: Metadata = Field(default={}, validation_alias=AliasPath("parent", "subscription_details", "metadata"))
    """Of the subscription, when the invoice was made."""
    lines: Annotated[tuple[InvoiceLine, ...], BeforeValidator(_data)] = ()
    payments: Annotated[tuple[InvoicePayment, ...], BeforeValidator(_data)] = ()
    paid_at: datetime | None = Field(default=None, validation_alias=AliasPath("status_transitions", "paid_at"))

    @property
    def payment_intent(self) -> str | None:
        """The payment that paid it; none when nothing had to be paid."""
        return next((each.payment_intent for each in self.payments if each.status == "paid"), None)


class RemoteSession(Remote):
    """A Checkout session."""

    mode: str
    status: str | None = None
    payment_status: str
    metadata: Metadata = {}
    amount_total: int | None = None
    currency: str | None = None
    payment_intent: Reference = None
    subscription: Reference = None
    invoice: Reference = None
    created: datetime
    expires_at: datetime
    url: str | None = None


class RemoteCharge(Remote):
    """The charge of a payment."""

    created: datetime


class RemoteIntent(Remote):
    """A payment, with its last charge."""

    metadata: Metadata = {}
    latest_charge: RemoteCharge | None = None


class RemoteDispute(Remote):
    """A customer's dispute of a payment."""

    amount: int
    status: str
    created: datetime
    payment_intent: Reference = None


class RemoteRefund(Remote):
    """Money that was paid back."""

    amount: int
    status: str | None = None
    created: datetime
    payment_intent: Reference = None


class RemotePortal(Remote):
    """A session of the billing portal."""

    url: str
