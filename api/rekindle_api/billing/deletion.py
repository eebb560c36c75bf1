"""Nobody is billed who wants to go."""

import logging
import uuid

from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import is_live
from rekindle_api.billing.errors import StripeRefusedError, StripeUnavailableError, UnknownPriceError
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.subscriptions import apply_subscription
from rekindle_api.users.models import AccountStatus

_log = logging.getLogger(__name__)


async def cancel_for_deletion(billing: Billing, user_id: uuid.UUID) -> bool:
    """End what bills a user: at the end of the paid month within the grace period, at once when the account is gone.

    To be called after the account's new status is committed, and as often as one likes. What fails is logged; the
    comparison with Stripe tries it again.

    Returns:
        Whether nothing bills the user any more.
    """
    async with billing.database.transaction() as session:
        rows = BillingRepository(session)
        user = await rows.user(user_id)
        live = [each for each in await rows.subscriptions(user_id) if is_live(each.status)]
    at_once = user is None or user.status == AccountStatus.DELETED
    done = True
    for subscription in live:
        try:
            if at_once:
                await billing.stripe.cancel(subscription.id)
            elif not subscription.cancel_at_period_end:
                await billing.stripe.cancel_at_period_end(subscription.id)
            await apply_subscription(billing, subscription.id)
        except (StripeUnavailableError, StripeRefusedError, UnknownPriceError) as error:
            done = False
            _log.warning("subscription not cancelled", extra={"subscription": subscription.id, "error": str(error)})
    return done
