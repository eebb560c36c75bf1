"""What a subscription at Stripe makes of its user: the tier, when it renews, and that there is only one."""

import logging
import uuid
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.audit.repository import AuditRepository
from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import is_live, standing
from rekindle_api.billing.errors import UnknownPriceError
from rekindle_api.billing.models import Subscription
from rekindle_api.billing.remote import RemoteSubscription
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.returns import apply_returns, take_everything
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.retention import keep_everything
from rekindle_api.settings import Tier
from rekindle_api.users.models import AccountStatus, User

_log = logging.getLogger(__name__)


async def apply_subscription(billing: Billing, subscription_id: str) -> str:
    """Read a subscription and write what follows from it; return what that was, in a word.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe did not say.
        UnknownPriceError: it is for a price that no setting names.
    """
    remote = await billing.stripe.subscription(subscription_id)
    if remote is None:
        return "absent"
    if (user_id := billing.owner(remote.metadata)) is None:
        return "foreign"
    async with billing.alone(user_id) as session:
        if await BillingRepository(session).user(user_id) is None:
            return "no such user"
        if (remote := await billing.stripe.subscription(subscription_id)) is None:
            return "absent"
        await BillingRepository(session).save_subscription(remote.id, **subscription_values(billing, user_id, remote))
        superfluous = await _settle(session, user_id)
        at_commit(session, Commit.SUBSCRIPTION_APPLIED)
    for each in superfluous:
        await _end_superfluous(billing, user_id, each)
    return remote.status


def subscription_values(billing: Billing, user_id: uuid.UUID, remote: RemoteSubscription) -> dict[str, object]:
    """Return the columns of a subscription.

    Raises:
        UnknownPriceError: it is for a price that no setting names, or for nothing.
    """
    sold = next((item for item in remote.items if item.price and billing.settings.tier_of(item.price)), None)
    if sold is None or sold.price is None:
        prices = ", ".join(str(item.price) for item in remote.items)
        raise UnknownPriceError(f"STRIPE_PRICES has none of {prices or 'no price'}: add it to the list of its tier")
    return {
        "user_id": user_id,
        "status": remote.status,
        "tier": billing.tier_of(sold.price),
        "price_id": sold.price,
        "current_period_start": sold.current_period_start,
        "current_period_end": sold.current_period_end,
        "cancel_at_period_end": remote.cancel_at_period_end or remote.cancel_at is not None,
        "started_at": remote.created,
        "ended_at": remote.ended_at,
    }


async def _settle(session: AsyncSession, user_id: uuid.UUID) -> list[str]:
    """Write the tier that all subscriptions of a user come to; return those that must end at Stripe."""
    rows = BillingRepository(session)
    known, user = await rows.subscriptions(user_id), await rows.user(user_id)
    now = standing(known)
    superfluous = now.superseded | _too_late(known, user)
    if superfluous:
        _log.warning("superfluous subscription", extra={"user": user_id, "subscriptions": sorted(superfluous)})
        await rows.supersede(superfluous)
    if user is not None and user.status != AccountStatus.DELETED:
        if user.tier != now.tier:
            await AuditRepository(session).record("account.tier_changed", None, user_id, before=user.tier, now=now.tier)
        await rows.set_tier(user_id, now.tier, now.renews_at)
        if user.tier == Tier.FREE and now.tier is not Tier.FREE:
            await keep_everything(session, user_id)
    return [each.id for each in known if _must_end(each, superfluous)]


def _too_late(known: Iterable[Subscription], user: User | None) -> frozenset[str]:
    """Return the subscriptions that were bought for an account that was gone."""
    if user is None or user.deleted_at is None:
        return frozenset()
    return frozenset(each.id for each in known if each.started_at > user.deleted_at and not each.superseded)


def _must_end(subscription: Subscription, superseded: frozenset[str]) -> bool:
    return is_live(subscription.status) and (subscription.superseded or subscription.id in superseded)


async def _end_superfluous(billing: Billing, user_id: uuid.UUID, subscription_id: str) -> None:
    """End a second subscription at Stripe and pay back what it took. Each step may be done again."""
    try:
        await pay_back(billing, subscription_id)
        reached(Place.SUBSCRIPTION_PAID_BACK)
    finally:
        # It ends even if the money cannot go back now: the comparison sees to what is left.
        await billing.stripe.cancel(subscription_id)
    reached(Place.SUBSCRIPTION_ENDED)
    async with billing.alone(user_id) as session:
        if (remote := await billing.stripe.subscription(subscription_id)) is not None:
            await BillingRepository(session).save_subscription(
                remote.id, **subscription_values(billing, user_id, remote)
            )


async def pay_back(billing: Billing, subscription_id: str) -> None:
    """Pay back every paid invoice of a second subscription, and take what it granted."""
    async for invoice in billing.stripe.paid_invoices_of(subscription_id):
        if invoice.payment_intent is not None and invoice.amount_paid:
            await billing.stripe.refund(invoice.payment_intent, {"reason": "second subscription"})
            await apply_returns(billing, invoice.payment_intent)
    async with billing.database.transaction() as session:
        paid = await BillingRepository(session).payments_of_subscription(subscription_id)
    for payment in paid:
        await take_everything(billing, payment.id, f"superseded:{payment.id}")
