"""Money that goes back: refunds and disputes take credits in proportion, and give them back when they come to nothing.

Each refund and each dispute is a reversal of its own in the ledger, under its own id, so whatever is told twice, late
or in another order ends the same.
"""

import logging

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import Return, credits_taken, returns_of
from rekindle_api.billing.models import Payment
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.credits import service as credits_service
from rekindle_api.credits.models import LotSource
from rekindle_api.faults import Commit, at_commit

_log = logging.getLogger(__name__)


async def apply_returns(billing: Billing, payment_intent: str) -> str:
    """Read what went back of a payment and write what follows; return what that was, in a word.

    Raises:
        StripeUnavailableError, StripeRefusedError: Stripe did not say.
    """
    async with billing.database.transaction() as session:
        payment = await BillingRepository(session).payment_by_intent(payment_intent)
    if payment is None:
        return "unknown payment"
    async with billing.alone(payment.user_id) as session:
        refunds = await billing.stripe.refunds_of(payment_intent)
        disputes = await billing.stripe.disputes_of(payment_intent)
        returned = await _settle(session, payment, returns_of(refunds, disputes))
        at_commit(session, Commit.RETURNS_APPLIED)
    return f"{returned} of {payment.amount} returned"


async def _settle(session: AsyncSession, payment: Payment, returns: list[Return]) -> int:
    """Bring credits and the record of a payment to what went back of it; return how much money that is."""
    back = 0
    # What was given back first, so that a later reversal finds it.
    for each in returns:
        if not each.stands:
            await _give_back(session, payment, each.id, returns)
    for each in returns:
        if each.stands:
            so_far = credits_taken(payment.credits, payment.amount, back)
            back = min(payment.amount, back + each.amount)
            share = credits_taken(payment.credits, payment.amount, back) - so_far
            await _take(session, payment, each, share, returns)
    await BillingRepository(session).set_refunded(payment.id, back)
    return back


async def _take(session: AsyncSession, payment: Payment, cause: Return, share: int, returns: list[Return]) -> None:
    """Take a share of a payment's credits: of its lot, then of what was given back to it before."""
    lots, left = _lots(payment, cause.id, returns), share
    for reference, _ in lots:
        if await credits_service.was_reversed(session, payment.user_id, reference):
            return
    for reference, (source, lot) in lots:
        if left <= 0:
            return
        available = await credits_service.reversible(session, payment.user_id, source, lot)
        part = min(left, available)
        if part and await credits_service.reverse(
            session,
            payment.user_id,
            source=source,
            source_reference=lot,
            amount=part,
            reference=reference,
            description=f"{cause.word}: {payment.description}",
        ):
            _log.info("credits taken back", extra={"payment": payment.id, "cause": cause.id, "credits": part})
        left -= part


async def _give_back(session: AsyncSession, payment: Payment, cause: str, returns: list[Return]) -> None:
    """Give back what was taken for a refund that failed or a dispute that was won."""
    for reference, _ in _lots(payment, cause, returns):
        if await credits_service.restore_reversed(
            session,
            payment.user_id,
            reversal_reference=reference,
            reference=_restored(reference),
            description=f"Given back: {payment.description}",
        ):
            _log.info("credits given back", extra={"payment": payment.id, "cause": cause})


def _lots(payment: Payment, cause: str, returns: list[Return]) -> list[tuple[str, tuple[LotSource, str]]]:
    """Return every lot that a payment's credits may be in, each with the reference of what `cause` takes of it."""
    lots = [(cause, (_source(payment), payment.id))]
    lots += [
        (f"{cause}:{each.id}", (LotSource.RETURNED, _restored(each.id)))
        for each in returns
        if not each.stands and each.id != cause
    ]
    return lots


def _restored(reference: str) -> str:
    return f"{reference}:returned"


def _source(payment: Payment) -> LotSource:
    return LotSource.TOP_UP if payment.subscription_id is None else LotSource.SUBSCRIPTION


async def take_everything(billing: Billing, payment_id: str, cause: str) -> None:
    """Take what is left of a payment's credits, whatever became of its money."""
    async with billing.database.transaction() as session:
        payment = await BillingRepository(session).payment(payment_id)
    if payment is None or payment.credits <= 0:
        return
    async with billing.alone(payment.user_id) as session:
        await _take(session, payment, Return(cause, payment.amount, "Refunded", stands=True), payment.credits, [])


async def take_from_subscription(session: AsyncSession, payment: Payment, amount: int) -> None:
    """Take credits for a change to something smaller, of what the subscription granted last."""
    if payment.subscription_id is None:
        return
    left = amount
    # Its record is new in this transaction, so nothing was taken for it yet.
    for earlier in await BillingRepository(session).payments_of_subscription(payment.subscription_id):
        if left <= 0:
            return
        if earlier.credits <= 0 or earlier.paid_at > payment.paid_at:
            continue
        part = min(left, await credits_service.reversible(session, payment.user_id, LotSource.SUBSCRIPTION, earlier.id))
        if part:
            await credits_service.reverse(
                session,
                payment.user_id,
                source=LotSource.SUBSCRIPTION,
                source_reference=earlier.id,
                amount=part,
                reference=f"{payment.id}:{earlier.id}",
                description=payment.description,
            )
            left -= part
