"""Nobody is billed who wants to go."""

import logging
import uuid

from rekindle_api.billing.checkout import close_checkout
from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import is_live
from rekindle_api.billing.errors import StripeRefusedError, StripeUnavailableError, UnknownPriceError
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.subscriptions import apply_subscription
from rekindle_api.users.models import AccountStatus, User

_log = logging.getLogger(__name__)
_ERRORS = (StripeUnavailableError, StripeRefusedError, UnknownPriceError)


async def cancel_for_deletion(billing: Billing, user_id: uuid.UUID) -> bool:
    """End what bills a user, or could: open pages of Stripe are closed, and a subscription ends.

    It ends with the paid month within the grace period, and at once when the account is gone.

    To be called after the account's new status is committed, and as often as one likes. What fails is logged; the
    comparison with Stripe tries it again. Whoever took the deletion back meanwhile keeps everything.

    Returns:
        Whether nothing is left to be ended.
    """
    try:
        async with billing.served():
            return await _end_billing(billing, user_id)
    except StripeUnavailableError as error:
        _log.warning("nothing was cancelled", extra={"user": user_id, "error": error.cause})
        return False


async def _end_billing(billing: Billing, user_id: uuid.UUID) -> bool:
    async with billing.database.transaction() as session:
        rows = BillingRepository(session)
        user = await rows.user(user_id)
        pages = [each.id for each in await rows.open_checkouts(user_id)]
    if _stays(user):
        return True
    done = True
    for page in pages:
        try:
            await close_checkout(billing, page)
        except _ERRORS as error:
            done = False
            _log.warning("page not closed", extra={"session": page, "error": str(error)})
    # After the pages: one that was paid in time may have made a subscription.
    async with billing.database.transaction() as session:
        rows = BillingRepository(session)
        user = await rows.user(user_id)
        live = [each for each in await rows.subscriptions(user_id) if is_live(each.status)]
    if _stays(user):
        return done
    at_once = user is None or user.status == AccountStatus.DELETED
    for subscription in live:
        try:
            if at_once:
                await billing.stripe.cancel(subscription.id)
            elif not subscription.cancel_at_period_end:
                await billing.stripe.cancel_at_period_end(subscription.id)
            await apply_subscription(billing, subscription.id)
        except _ERRORS as error:
            done = False
            _log.warning("subscription not cancelled", extra={"subscription": subscription.id, "error": str(error)})
    return done


def _stays(user: User | None) -> bool:
    return user is not None and user.status not in {AccountStatus.DELETION_REQUESTED, AccountStatus.DELETED}
