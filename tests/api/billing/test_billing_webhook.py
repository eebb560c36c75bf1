"""The webhook and the inbox: what is taken, what is refused, what is tried again, and what is set aside."""

import time
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.billing.inbox import StripeInbox
from rekindle_api.webhooks.repository import WebhookRepository

if TYPE_CHECKING:
    from tests.api.billing.conftest import Shop, StartShop
else:
    Shop = StartShop = Any

pytestmark = pytest.mark.stack


async def test_an_event_that_the_database_refuses_is_set_aside_with_its_reason(start_shop: StartShop):
    shop = await start_shop(stripe_park_after=1)
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    shop.api.rows(
        "INSERT INTO payments (id, user_id, payment_intent_id, description, amount, currency, paid_at)"
        " VALUES ('cs_other', %s, %s, 'Other', 1, 'usd', now())",
        shop.user_id(buyer),
        session["payment_intent"],
    )

    await shop.deliver()

    set_aside = shop.api.rows("SELECT last_error FROM webhook_events WHERE parked_at IS NOT NULL")
    assert ("IntegrityError: uq_payments_payment_intent_id",) in set_aside


async def paid(shop: Shop) -> tuple[Any, dict[str, Any]]:
    """Return a user who bought a pack, and the event of it."""
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    [event] = shop.news()
    return buyer, event


def stored(shop: Shop) -> int:
    """Count the events in the inbox."""
    [[count]] = shop.api.rows("SELECT count(*) FROM webhook_events")
    return int(count)


async def test_an_event_is_stored_once_by_either_secret_and_not_handled_by_the_web_server(shop: Shop):
    buyer, event = await paid(shop)
    assert await shop.post(event) == 200
    assert await shop.post(event, secret="whsec_the_one_before") == 200
    assert stored(shop) == 1
    assert await shop.spendable(buyer) == 0


@pytest.mark.parametrize(
    "signing",
    [{"secret": "whsec_of_somebody_else"}, {"at": int(time.time()) - 3600}],
    ids=["another secret", "an hour ago"],
)
async def test_an_event_that_stripe_did_not_sign_just_now_is_refused(shop: Shop, signing: dict[str, Any]):
    _, event = await paid(shop)
    assert await shop.post(event, **signing) == 400
    assert stored(shop) == 0


@pytest.mark.parametrize("header", [None, "", "t=1", "t=x,v1=y", "v1=abc"])
async def test_a_call_without_a_whole_signature_is_refused(shop: Shop, header: str | None):
    headers = {} if header is None else {"Stripe-Signature": header}
    for body in (b"{}", b"\xff\xfe", b""):
        reply = await shop.api.http.post(shop.webhook, content=body, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_signature")


async def test_what_is_signed_and_no_event_is_refused(shop: Shop):
    assert await shop.post({"object": "v2.core.event", "id": "evt_1", "type": "v1.billing.meter"}) == 400


async def test_a_body_that_is_too_large_is_refused(shop: Shop):
    reply = await shop.api.http.post(shop.webhook, content=b"x" * 300_000, headers={"Stripe-Signature": "t=1,v1=1"})
    assert reply.status_code == 413


@pytest.mark.parametrize(
    "change",
    [{"livemode": True}, {"type": "customer.updated"}, {"type": "charge.refunded"}],
    ids=["real money", "of no interest", "no payment intent"],
)
async def test_what_is_not_for_us_is_answered_and_forgotten(shop: Shop, change: dict[str, Any]):
    _, event = await paid(shop)
    subject = {**event["data"]["object"], "payment_intent": None}
    assert await shop.post({**event, **change, "data": {"object": subject}}) == 200
    assert stored(shop) == 0


async def test_objects_of_another_deployment_in_the_same_account_are_left_alone(shop: Shop):
    buyer = await shop.buyer()
    customer = shop.stripe.account.add("cus", "customer", email=None, metadata={})
    metadata = {"deployment": "another", "user_id": str(shop.user_id(buyer))}
    subscription = shop.stripe.account.subscribe(customer["id"], "price_forever", metadata)
    [invoice] = shop.stripe.account.all("invoice")
    intent = invoice["_payments"][0]["payment"]["payment_intent"]
    shop.stripe.account.refund(intent, 100)
    await shop.deliver()
    assert (await shop.compare()).failures == 0
    assert await shop.state(buyer) == {
        "tier": "free",
        "status": None,
        "renews": False,
        "spendable": 0,
        "payments": [],
    }
    assert subscription["status"] == "active"


async def test_an_event_whose_object_is_gone_or_whose_user_nobody_knows_is_handled(shop: Shop):
    metadata = {"deployment": "tests", "user_id": "00000000-0000-0000-0000-000000000000"}
    customer = shop.stripe.account.add("cus", "customer", email=None, metadata={})
    shop.stripe.account.subscribe(customer["id"], "price_remember", metadata)
    subject = {"id": "cs_gone", "metadata": {}}
    events = shop.news()
    await shop.deliver(
        [*events, {**events[0], "id": "evt_x", "type": "checkout.session.completed", "data": {"object": subject}}]
    )
    assert not shop.events_set_aside()


async def test_while_stripe_is_away_an_event_waits_and_is_never_set_aside(start_shop: StartShop):
    shop = await start_shop(stripe_park_after=5, stripe_backoff_limit_seconds=0.01)
    buyer, event = await paid(shop)
    shop.stripe.break_next(20)
    assert await shop.post(event) == 200
    inbox = StripeInbox(shop.billing)
    while shop.events_set_aside():
        await inbox.drain()
    assert await shop.spendable(buyer) == 10


async def test_an_event_that_fails_for_a_reason_of_its_own_is_set_aside_and_can_be_handled_again(start_shop: StartShop):
    shop = await start_shop(
        stripe_park_after=3, stripe_backoff_limit_seconds=0.01, stripe_prices={"cherish": "price_cherish"}
    )
    buyer = await shop.buyer()
    customer = shop.stripe.account.add("cus", "customer", email=None, metadata={})
    metadata = {"deployment": "tests", "user_id": str(shop.user_id(buyer))}
    shop.stripe.account.subscribe(customer["id"], "price_remember", metadata)
    [created, _] = shop.news()
    assert await shop.post(created) == 200
    inbox = StripeInbox(shop.billing)
    while not shop.api.rows("SELECT 1 FROM webhook_events WHERE parked_at IS NOT NULL"):
        await inbox.drain()
    [problem] = shop.events_set_aside()
    async with shop.billing.database.transaction() as session:
        backlog = await WebhookRepository(session).backlog()
    assert (backlog.waiting, backlog.parked) == (0, 1)
    assert "STRIPE_PRICES has none of price_remember" in problem
    assert (await shop.compare()).failures > 0
    mended = await start_shop()
    async with mended.billing.database.transaction() as session:
        [parked] = await WebhookRepository(session).parked()
        assert await WebhookRepository(session).replay("stripe", parked.external_id)
    await mended.deliver([])
    assert (await shop.subscription(buyer))["tier"] == "remember"


async def test_an_event_that_died_with_its_process_is_taken_when_its_claim_ends(shop: Shop):
    buyer, event = await paid(shop)
    assert await shop.post(event) == 200
    taken = await StripeInbox(shop.billing)._claim()
    assert len(taken) == 1
    assert await StripeInbox(shop.billing).drain() == 0
    shop.api.rows("UPDATE webhook_events SET claimed_until = now()")
    assert await StripeInbox(shop.billing).drain() == 1
    assert await shop.spendable(buyer) == 10


async def test_events_that_were_handled_long_ago_are_forgotten(shop: Shop):
    _, event = await paid(shop)
    await shop.deliver([event])
    shop.api.rows("UPDATE webhook_events SET handled_at = now() - interval '91 days'")
    assert (await shop.compare()).forgotten == 1
    assert stored(shop) == 0
