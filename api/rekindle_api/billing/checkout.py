"""What a user does to pay: a Checkout session, one at a time, and the billing portal."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rekindle_api.audit.repository import AuditRepository
from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import is_live
from rekindle_api.billing.errors import AlreadySubscribedError, NoCustomerError, NotForSaleError
from rekindle_api.billing.models import CheckoutMode
from rekindle_api.billing.purchases import apply_session
from rekindle_api.billing.remote import RemotePortal, RemoteSession
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.subscriptions import apply_subscription
from rekindle_api.database import new_id
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.settings import Tier


@dataclass(frozen=True)
class Item:
    """What is sold: a tier by the month, or a pack."""

    mode: CheckoutMode
    name: str
    price_id: str
    credits: int


def item_for(billing: Billing, tier: Tier | None, pack: str | None) -> Item:
    """Return what a tier or a pack is sold as.

    Raises:
        NotForSaleError: it has no price.
    """
    settings, plans = billing.settings, billing.plans
    if tier is not None:
        if not (prices := settings.stripe_prices.get(tier)):
            raise NotForSaleError(f"The tier {tier} is not for sale; GET /api/v1/billing/plans lists what is.")
        return Item(CheckoutMode.SUBSCRIPTION, tier, prices[0], plans.plan(tier).credits)
    name = pack or ""
    if not (prices := settings.stripe_top_up_prices.get(name)):
        raise NotForSaleError("This pack is not for sale; GET /api/v1/billing/plans lists what is.")
    return Item(CheckoutMode.PAYMENT, name, prices[0], plans.top_ups[name])


async def open_checkout(billing: Billing, user_id: uuid.UUID, item: Item) -> RemoteSession:
    """Open a Checkout session for a user; any that was open is closed, so that nobody pays twice.

    Raises:
        AlreadySubscribedError: a subscription is wanted, and there is one.
        StripeUnavailableError, StripeRefusedError: Stripe opened none.
    """
    customer_id = await _customer(billing, user_id)
    async with billing.database.transaction() as session:
        earlier = [each.id for each in await BillingRepository(session).open_checkouts(user_id)]
    for each in earlier:
        await close_checkout(billing, each)
    if item.mode is CheckoutMode.SUBSCRIPTION:
        await _refuse_second(billing, user_id, customer_id)
    opened = await billing.stripe.create_session(_session_params(billing, user_id, customer_id, item), str(new_id()))
    reached(Place.CHECKOUT_MADE)
    async with billing.alone(user_id) as session:
        rows = BillingRepository(session)
        # Opened by another request at the same moment.
        others = [each.id for each in await rows.open_checkouts(user_id)]
        await rows.add_checkout(
            opened.id, user_id=user_id, mode=item.mode, item=item.name, expires_at=opened.expires_at
        )
        await AuditRepository(session).record("checkout.opened", user_id, user_id, session=opened.id, item=item.name)
        at_commit(session, Commit.CHECKOUT_OPENED)
    for each in others:
        await close_checkout(billing, each)
    return opened


async def close_checkout(billing: Billing, session_id: str) -> None:
    """See that a Checkout session cannot be paid any more; one that was paid counts."""
    await billing.stripe.expire_session(session_id)
    await apply_session(billing, session_id)


async def open_portal(billing: Billing, user_id: uuid.UUID) -> RemotePortal:
    """Open the billing portal.

    Raises:
        NoCustomerError: the user never bought anything.
        StripeUnavailableError, StripeRefusedError: Stripe opened none.
    """
    async with billing.database.transaction() as session:
        user = await BillingRepository(session).user(user_id)
    if user is None or user.stripe_customer_id is None:
        raise NoCustomerError
    customer = await billing.stripe.customer(user.stripe_customer_id)
    if customer is None or customer.deleted:
        raise NoCustomerError
    settings = billing.settings
    return await billing.stripe.open_portal(
        customer.id, settings.stripe_return_url, settings.stripe_portal_configuration
    )


async def _customer(billing: Billing, user_id: uuid.UUID) -> str:
    """Return who the user is at Stripe; a customer is made once, and anew only when somebody deleted it there."""
    async with billing.alone(user_id) as session:
        rows = BillingRepository(session)
        user = await rows.user(user_id)
        known = user.stripe_customer_id if user else None
        if known is not None:
            customer = await billing.stripe.customer(known)
            if customer is not None and not customer.deleted:
                return known
        # Named after the one before it: Stripe would answer a key that it knows with the customer that is gone.
        key = f"{billing.settings.deployment}:{user_id}:{known or 'first'}"
        made = await billing.stripe.create_customer(user.email if user else None, billing.mark(user_id), key)
        reached(Place.CUSTOMER_MADE)
        await rows.set_customer(user_id, made.id)
    return made.id


async def _refuse_second(billing: Billing, user_id: uuid.UUID, customer_id: str) -> None:
    """Ask Stripe and not only the tables: the event of a subscription that was just bought may be on its way."""
    async for remote in billing.stripe.subscriptions_of(customer_id):
        await apply_subscription(billing, remote.id)
    async with billing.database.transaction() as session:
        known = await BillingRepository(session).subscriptions(user_id)
    if any(is_live(each.status) and not each.superseded for each in known):
        raise AlreadySubscribedError


def _session_params(billing: Billing, user_id: uuid.UUID, customer_id: str, item: Item) -> dict[str, Any]:
    settings = billing.settings
    expires_at = datetime.now(UTC) + timedelta(minutes=settings.stripe_checkout_minutes, seconds=30)
    child = "subscription_data" if item.mode is CheckoutMode.SUBSCRIPTION else "payment_intent_data"
    return {
        "mode": item.mode.value,
        "customer": customer_id,
        "client_reference_id": str(user_id),
        "line_items": [{"price": item.price_id, "quantity": 1}],
        "success_url": settings.stripe_success_url,
        "cancel_url": settings.stripe_cancel_url,
        "expires_at": int(expires_at.timestamp()),
        "metadata": billing.mark(user_id, item=item.name, credits=item.credits),
        child: {"metadata": billing.mark(user_id, item=item.name)},
    }
