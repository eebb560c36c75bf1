"""Routes under /api/v1/billing."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.billing.checkout import item_for, open_checkout, open_portal
from rekindle_api.billing.context import Billing
from rekindle_api.billing.decisions import is_live
from rekindle_api.billing.errors import (
    AlreadySubscribedError,
    BillingUnavailableError,
    NoCustomerError,
    NotForSaleError,
    StripeRefusedError,
    StripeUnavailableError,
)
from rekindle_api.billing.prices import PriceList
from rekindle_api.billing.remote import RemotePrice
from rekindle_api.billing.replies import (
    CheckoutReply,
    CheckoutRequest,
    PackReply,
    PaymentReply,
    Payments,
    PlansReply,
    PortalReply,
    Price,
    SubscriptionReply,
    TierReply,
)
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.database import DatabaseSession
from rekindle_api.idempotency.once import OnceOnly
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited
from rekindle_api.settings import PlanSettings

router = APIRouter(prefix="/api/v1/billing", tags=["billing"])


@raises(BillingUnavailableError)
async def billing_of(request: Request) -> Billing:
    """Return what payments need.

    Raises:
        BillingUnavailableError: nothing is sold here.
    """
    billing: Billing | None = request.app.state.billing
    if billing is None:
        raise BillingUnavailableError
    return billing


OpenBilling = Annotated[Billing, Depends(billing_of)]


@router.post("/checkout", status_code=201, response_model=CheckoutReply, dependencies=[limited("checkout")])
@raises(AlreadySubscribedError, NotForSaleError, StripeUnavailableError, StripeRefusedError)
async def checkout(
    wanted: CheckoutRequest, user: CurrentUser, billing: OpenBilling, session: DatabaseSession, once: OnceOnly
) -> CheckoutReply | JSONResponse:
    """Open a page of Stripe on which to pay for a tier or a pack; a page that was open before is closed."""

    async def opened() -> CheckoutReply:
        page = await open_checkout(billing, user.id, item_for(billing, wanted.tier, wanted.pack))
        return CheckoutReply(id=page.id, url=page.url or "", expires_at=page.expires_at)

    async with billing.served():
        return await once.answer(session, opened, 201)


@router.post("/portal")
@raises(NoCustomerError, StripeUnavailableError, StripeRefusedError)
async def portal(user: CurrentUser, billing: OpenBilling) -> PortalReply:
    """Open a page of Stripe on which to change or cancel the subscription, and to see invoices."""
    async with billing.served():
        return PortalReply(url=(await open_portal(billing, user.id)).url)


@router.get("/subscription")
async def subscription(user: CurrentUser, session: DatabaseSession) -> SubscriptionReply:
    """Return what the caller has subscribed to, as it was when Stripe last told."""
    rows = BillingRepository(session)
    live = [each for each in await rows.subscriptions(user.id) if is_live(each.status) and not each.superseded]
    found = live[-1] if live else None
    return SubscriptionReply(
        tier=user.tier,
        status=found.status if found else None,
        payment_failed=found is not None and found.status in {"past_due", "unpaid"},
        renews_at=user.renews_at,
        ends_at=found.current_period_end if found and found.cancel_at_period_end else None,
        has_portal=user.stripe_customer_id is not None,
    )


@router.get("/payments")
async def payments(user: CurrentUser, session: DatabaseSession) -> Payments:
    """List the caller's newest payments, a hundred at most; the portal has all invoices."""
    found = await BillingRepository(session).payments(user.id)
    return Payments(payments=[PaymentReply.model_validate(each, from_attributes=True) for each in found])


@router.get("/plans")
@raises(StripeUnavailableError, StripeRefusedError)
async def plans(request: Request) -> PlansReply:
    """List tiers and packs with their prices, and what work costs; for everybody."""
    settings: PlanSettings = request.app.state.plans
    billing: Billing | None = request.app.state.billing
    prices: PriceList | None = request.app.state.prices
    known = await prices.prices() if prices else {}
    sold = billing.settings.sold if billing else {}
    return PlansReply(
        available=billing is not None,
        tiers=[
            TierReply(
                tier=tier,
                **plan.model_dump(include={"credits", "storage_bytes", "retention_days", "watermark"}),
                price=_price(known, sold.get(tier)),
            )
            for tier, plan in sorted(settings.plans.items(), key=lambda item: item[1].credits)
        ],
        packs=[
            PackReply(pack=pack, credits=credits_, price=_price(known, sold.get(pack)))
            for pack, credits_ in sorted(settings.top_ups.items(), key=lambda item: item[1])
        ],
        pack_months=settings.top_up_months,
        costs=settings.costs,
    )


def _price(known: Mapping[str, RemotePrice], price_id: str | None) -> Price | None:
    found = known.get(price_id or "")
    if found is None or found.unit_amount is None or not found.active:
        return None
    return Price(amount=found.unit_amount, currency=found.currency)
