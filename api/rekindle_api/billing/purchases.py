"""What was paid: invoices of subscriptions and Checkout sessions for packs, each recorded and granted once."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import InvoiceCredits, credits_of_invoice, is_live
from rekindle_api.billing.models import CheckoutMode, Subscription
from rekindle_api.billing.months import add_months
from rekindle_api.billing.remote import RemoteInvoice, RemoteSession
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.returns import apply_returns, take_from_subscription
from rekindle_api.billing.subscriptions import apply_subscription, pay_back
from rekindle_api.credits import service as credits_service
from rekindle_api.credits.models import LotSource
from rekindle_api.credits.service import Grant
from rekindle_api.faults import Commit, at_commit
from rekindle_api.users.models import AccountStatus, User

_PAID = {"paid", "no_payment_required"}
_NOT_OURS = {"absent", "foreign", "no such user"}


async def apply_invoice(billing: Billing, invoice_id: str) -> str:
    """Read an invoice and its subscription and write what follows; return what that was, in a word.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe did not say.
        UnknownPriceError: a line is for a price that no setting names.
    """
    remote = await billing.stripe.invoice(invoice_id)
    if remote is None or remote.subscription is None:
        return "absent" if remote is None else "not of a subscription"
    # First, for it says whose this is, and whether it counts.
    outcome = await apply_subscription(billing, remote.subscription)
    if outcome in _NOT_OURS:
        return outcome
    async with billing.database.transaction() as session:
        subscription = await BillingRepository(session).subscription(remote.subscription)
    if subscription is None:
        return "absent"
    if (due := _due(billing, subscription, remote)) is not None and due.credits < 0:
        await _apply_earlier(billing, remote)
    async with billing.alone(subscription.user_id) as session:
        remote = await billing.stripe.invoice(invoice_id)
        if remote is None or remote.status != "paid" or remote.subscription is None:
            return "unpaid"
        subscription = await BillingRepository(session).subscription(remote.subscription) or subscription
        superseded = subscription.superseded
        late = _came_too_late(remote, await BillingRepository(session).user(subscription.user_id))
        counts = not (superseded or late)
        new = await _record_invoice(billing, session, subscription, remote, counts=counts)
        at_commit(session, Commit.INVOICE_APPLIED)
    if superseded:
        await pay_back(billing, subscription.id)
    elif late and remote.payment_intent is not None:
        # This invoice alone: those before it were paid for an account that was there.
        await billing.stripe.refund(remote.payment_intent, {"reason": "account deleted"})
    if remote.payment_intent is not None:
        await apply_returns(billing, remote.payment_intent)
    return "paid" if new else "known"


def _due(billing: Billing, subscription: Subscription, remote: RemoteInvoice) -> InvoiceCredits | None:
    granted = {tier: plan.credits for tier, plan in billing.plans.plans.items()}
    return credits_of_invoice(remote.lines, subscription.started_at, billing.tier_of, granted)


async def _apply_earlier(billing: Billing, remote: RemoteInvoice) -> None:
    """Record what was paid before an invoice that takes credits, so that it takes them of what is there."""
    newest_first = [each.id async for each in billing.stripe.paid_invoices_of(remote.subscription or "")]
    earlier = newest_first[newest_first.index(remote.id) + 1 :] if remote.id in newest_first else []
    async with billing.database.transaction() as session:
        known = await BillingRepository(session).known_payments(earlier)
    for invoice_id in reversed(earlier):
        if invoice_id not in known:
            await apply_invoice(billing, invoice_id)


def _came_too_late(remote: RemoteInvoice, user: User | None) -> bool:
    """Tell whether an invoice was paid when the account was gone: until the sweep ends it, a subscription renews."""
    return user is not None and user.deleted_at is not None and (remote.paid_at or remote.created) > user.deleted_at


async def _record_invoice(
    billing: Billing, session: AsyncSession, subscription: Subscription, remote: RemoteInvoice, *, counts: bool
) -> bool:
    """Record a paid invoice, and change the credits by what it is for if it counts; tell whether it is new."""
    due = _due(billing, subscription, remote)
    amount = due.credits if due is not None and counts else 0
    description = _description(due, amount)
    rows = BillingRepository(session)
    new = await rows.add_payment(
        remote.id,
        user_id=subscription.user_id,
        payment_intent_id=remote.payment_intent,
        subscription_id=subscription.id,
        description=description,
        amount=remote.amount_paid,
        currency=remote.currency,
        credits=amount,
        paid_at=remote.paid_at or remote.created,
    )
    if remote.payment_intent is not None:
        await rows.set_intent(remote.id, remote.payment_intent)
    payment = await rows.payment(remote.id)
    if not new or payment is None or due is None:
        return new
    if amount > 0:
        # Monthly credits live for one month beyond the one they are for.
        until = add_months(due.period_end, 1)
        grant = Grant(subscription.user_id, LotSource.SUBSCRIPTION, remote.id, amount, until, description)
        await credits_service.grant(session, grant)
    elif amount < 0:
        await take_from_subscription(session, payment, -amount)
    return new


def _description(due: InvoiceCredits | None, amount: int) -> str:
    if due is None or due.tier is None:
        return "Subscription"
    name = due.tier.capitalize()
    return f"Changed to {name}" if amount < 0 else f"{name} subscription"


async def apply_session(billing: Billing, session_id: str) -> str:
    """Read a Checkout session and write what follows; return what that was, in a word.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe did not say.
        UnknownPriceError: it sold a subscription for a price that no setting names.
    """
    remote = await billing.stripe.session(session_id)
    if remote is None:
        return "absent"
    if (user_id := billing.owner(remote.metadata)) is None:
        return "foreign"
    async with billing.alone(user_id) as session:
        if (user := await BillingRepository(session).user(user_id)) is None:
            return "no such user"
        remote = await billing.stripe.session(session_id) or remote
        await BillingRepository(session).set_checkout_status(remote.id, remote.status or "open")
        if remote.mode == CheckoutMode.PAYMENT and _is_paid(remote):
            await _record_pack(billing, session, user, remote)
        payment = await BillingRepository(session).payment(remote.id)
        at_commit(session, Commit.SESSION_APPLIED)
    if payment is not None and not payment.credits and user.status == AccountStatus.DELETED and remote.payment_intent:
        await billing.stripe.refund(remote.payment_intent, {"reason": "account deleted"})
    return await _apply_what_it_sold(billing, remote)


async def _apply_what_it_sold(billing: Billing, remote: RemoteSession) -> str:
    if remote.mode == CheckoutMode.SUBSCRIPTION:
        if remote.invoice is not None:
            return await apply_invoice(billing, remote.invoice)
        if remote.subscription is not None:
            return await apply_subscription(billing, remote.subscription)
    elif _is_paid(remote):
        if remote.payment_intent is not None:
            await apply_returns(billing, remote.payment_intent)
        return "paid"
    return "unpaid" if remote.status == "complete" else remote.status or "open"


def _is_paid(remote: RemoteSession) -> bool:
    """Tell whether the money is there: some ways to pay take days after the session is complete."""
    return remote.status == "complete" and remote.payment_status in _PAID


async def _record_pack(billing: Billing, session: AsyncSession, user: User, remote: RemoteSession) -> None:
    pack, amount = remote.metadata.get("item", ""), _credits_of_pack(billing, remote)
    if user.status == AccountStatus.DELETED:
        amount = 0
    description = f"{amount} credits" if amount else "Credits"
    paid_at = await _paid_at(billing, remote)
    rows = BillingRepository(session)
    new = await rows.add_payment(
        remote.id,
        user_id=user.id,
        payment_intent_id=remote.payment_intent,
        subscription_id=None,
        description=description,
        amount=remote.amount_total or 0,
        currency=remote.currency or "",
        credits=amount,
        paid_at=paid_at,
    )
    if new and amount:
        until = add_months(paid_at, billing.plans.top_up_months)
        grant = Grant(user.id, LotSource.TOP_UP, remote.id, amount, until, f"{description} ({pack} pack)")
        await credits_service.grant(session, grant)


def _credits_of_pack(billing: Billing, remote: RemoteSession) -> int:
    """Return what was promised when the session was opened, whatever the pack holds by now."""
    promised = remote.metadata.get("credits", "")
    return int(promised) if promised.isdigit() else billing.plans.top_ups.get(remote.metadata.get("item", ""), 0)


async def _paid_at(billing: Billing, remote: RemoteSession) -> datetime:
    intent = await billing.stripe.intent(remote.payment_intent) if remote.payment_intent else None
    charge = intent.latest_charge if intent else None
    return charge.created if charge else remote.created


async def apply_intent(billing: Billing, payment_intent: str) -> str:
    """Read what became of a payment's money; the payment itself is recorded first when no event told of it yet.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe did not say.
        UnknownPriceError: it paid for a price that no setting names.
    """
    async with billing.database.transaction() as session:
        known = await BillingRepository(session).payment_by_intent(payment_intent)
    if known is not None:
        return await apply_returns(billing, payment_intent)
    if (invoice_id := await billing.stripe.invoice_of(payment_intent)) is not None:
        return await apply_invoice(billing, invoice_id)
    if (remote := await billing.stripe.session_of(payment_intent)) is not None:
        return await apply_session(billing, remote.id)
    return "foreign"


async def apply_customer(billing: Billing, customer_id: str) -> str:
    """Read the subscriptions of a customer who was deleted or changed; return what followed, in a word."""
    async with billing.database.transaction() as session:
        rows = BillingRepository(session)
        if (user_id := await rows.user_of_customer(customer_id)) is None:
            return "foreign"
        live: list[str] = [each.id for each in await rows.subscriptions(user_id) if is_live(each.status)]
    for subscription_id in live:
        await apply_subscription(billing, subscription_id)
    return f"{len(live)} subscriptions"
