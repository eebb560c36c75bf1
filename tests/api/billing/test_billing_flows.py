"""What becomes of payments: bought, renewed, changed, paid back, disputed; told in any order, or not at all."""

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.billing.inbox import StripeInbox

if TYPE_CHECKING:
    from tests.api.billing.conftest import Shop
else:
    Shop = Any

pytestmark = pytest.mark.stack


async def test_a_pack_gives_its_credits_once_however_often_its_event_comes(shop: Shop):
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    events = shop.news()
    for _ in range(5):
        await shop.deliver(events)
    assert await shop.spendable(buyer) == 10
    [payment] = await shop.payments(buyer)
    assert (payment["amount"], payment["currency"], payment["credits"]) == (499, "usd", 10)


async def test_a_subscription_gives_its_tier_and_credits_each_month(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    first = await shop.state(buyer)
    assert (first["tier"], first["status"], first["renews"], first["spendable"]) == ("remember", "active", True, 25)
    shop.stripe.account.renew(session["subscription"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 50
    assert [payment["amount"] for payment in await shop.payments(buyer)] == [999, 999]


async def test_monthly_credits_last_a_month_beyond_the_one_they_are_for(shop: Shop):
    buyer = await shop.buyer()
    await shop.buy(buyer, tier="remember")
    await shop.deliver()
    [[after]] = shop.api.rows("SELECT expires_at - now() > interval '55 days' FROM credit_lots")
    assert after


async def test_an_upgrade_gives_the_difference_for_the_rest_of_the_month(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    shop.stripe.account.change(session["subscription"], "price_forever")
    await shop.deliver()
    state = await shop.state(buyer)
    assert (state["tier"], state["spendable"]) == ("forever", 150)


async def test_a_downgrade_that_gives_money_back_takes_the_credits_it_was_for(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="forever")
    await shop.deliver()
    await shop.spend(buyer, 140)
    shop.stripe.account.change(session["subscription"], "price_remember")
    await shop.deliver()
    state = await shop.state(buyer)
    assert (state["tier"], state["spendable"]) == ("remember", 25 - 140)


async def test_going_up_and_down_again_and_again_wins_no_credits(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    for price in ("price_forever", "price_remember") * 3:
        shop.stripe.account.change(session["subscription"], price)
    await shop.deliver()
    assert await shop.spendable(buyer) == 25


async def test_a_cancelled_subscription_lasts_until_its_month_ends(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="cherish")
    shop.stripe.account.set_cancel(session["subscription"], at_period_end=True)
    await shop.deliver()
    told = await shop.subscription(buyer)
    assert (told["tier"], told["renews_at"]) == ("cherish", None)
    assert told["ends_at"] is not None
    shop.stripe.account.renew(session["subscription"])
    await shop.deliver()
    assert (await shop.subscription(buyer))["tier"] == "free"
    assert await shop.spendable(buyer) == 60


async def test_a_failed_payment_is_visible_keeps_the_tier_and_gives_nothing_until_it_is_made(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    invoice = shop.stripe.account.renew(session["subscription"], paid=False)
    assert invoice is not None
    await shop.deliver()
    told = await shop.subscription(buyer)
    assert (told["tier"], told["status"], told["payment_failed"]) == ("remember", "past_due", True)
    assert await shop.spendable(buyer) == 25
    shop.stripe.account.pay_invoice(invoice["id"])
    await shop.deliver()
    assert (await shop.subscription(buyer))["payment_failed"] is False
    assert await shop.spendable(buyer) == 50


async def test_a_partial_refund_takes_credits_in_proportion_and_a_full_one_all(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="medium")
    await shop.deliver()
    shop.stripe.account.refund(session["payment_intent"], 433)
    await shop.deliver()
    assert await shop.spendable(buyer) == 20
    shop.stripe.account.refund(session["payment_intent"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 0
    [payment] = await shop.payments(buyer)
    assert payment["amount_refunded"] == payment["amount"]


async def test_a_refund_of_spent_credits_is_owed_and_the_next_purchase_pays_it(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    await shop.deliver()
    await shop.spend(buyer, 8)
    shop.stripe.account.refund(session["payment_intent"])
    await shop.deliver()
    assert await shop.spendable(buyer) == -8
    await shop.buy(buyer, pack="small")
    await shop.deliver()
    assert await shop.spendable(buyer) == 2


async def test_a_refund_that_fails_gives_the_credits_back(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    refund = shop.stripe.account.refund(session["payment_intent"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 0
    shop.stripe.account.fail_refund(refund["id"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 10
    [payment] = await shop.payments(buyer)
    assert payment["amount_refunded"] == 0


@pytest.mark.parametrize(("won", "left"), [(True, 10), (False, 0)])
async def test_a_dispute_takes_the_credits_and_gives_them_back_only_if_it_is_won(shop: Shop, won: bool, left: int):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    dispute = shop.stripe.account.dispute(session["payment_intent"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 0
    shop.stripe.account.decide(dispute["id"], won=won)
    await shop.deliver()
    assert await shop.spendable(buyer) == left


async def test_a_refund_after_a_won_dispute_still_takes_the_credits(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    dispute = shop.stripe.account.dispute(session["payment_intent"])
    await shop.deliver()
    shop.stripe.account.decide(dispute["id"], won=True)
    await shop.deliver()
    shop.stripe.account.refund(session["payment_intent"])
    for events in (shop.news(), shop.stripe.account.events):
        await shop.deliver(events)
        assert await shop.spendable(buyer) == 0


async def test_money_that_arrives_days_later_gives_credits_when_it_is_there(shop: Shop):
    buyer = await shop.buyer()
    session = shop.stripe.account.pay(await shop.checkout(buyer, pack="small"), later=True)
    await shop.deliver()
    assert await shop.spendable(buyer) == 0
    shop.stripe.account.arrive(session["id"])
    await shop.deliver()
    assert await shop.spendable(buyer) == 10


async def test_a_refunded_month_takes_its_credits(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    [payment] = shop.api.rows("SELECT payment_intent_id FROM payments")
    shop.stripe.account.refund(payment[0])
    await shop.deliver()
    assert await shop.spendable(buyer) == 0
    assert session["subscription"] is not None


async def test_a_deleted_customer_loses_the_tier_and_can_buy_again(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    shop.stripe.account.delete_customer(session["customer"])
    await shop.deliver([event for event in shop.news() if event["type"] == "customer.deleted"])
    assert (await shop.subscription(buyer))["tier"] == "free"
    again = await shop.buy(buyer, tier="cherish")
    await shop.deliver()
    assert again["customer"] != session["customer"]
    assert (await shop.subscription(buyer))["tier"] == "cherish"


async def test_a_second_subscription_is_ended_and_paid_back(shop: Shop):
    buyer = await shop.buyer()
    first = await shop.buy(buyer, tier="remember")
    metadata = {"deployment": "tests", "user_id": str(shop.user_id(buyer))}
    second = shop.stripe.account.subscribe(first["customer"], "price_forever", metadata)
    await shop.deliver(reversed(shop.news()))
    await shop.deliver()
    state = await shop.state(buyer)
    assert (state["tier"], state["spendable"]) == ("remember", 25)
    assert shop.stripe.account.get("subscription", second["id"])["status"] == "canceled"
    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [3999]


async def test_a_second_subscription_ends_even_if_it_cannot_be_paid_back_at_once(shop: Shop):
    buyer = await shop.buyer()
    first = await shop.buy(buyer, tier="remember")
    metadata = {"deployment": "tests", "user_id": str(shop.user_id(buyer))}
    second = shop.stripe.account.subscribe(first["customer"], "price_forever", metadata)
    dispute = shop.stripe.account.dispute(_intent_of(shop, second["_first_invoice"]))
    await shop.deliver()
    assert shop.stripe.account.get("subscription", second["id"])["status"] == "canceled"
    shop.stripe.account.decide(dispute["id"], won=True)
    await shop.deliver()
    assert (await shop.compare()).failures == 0
    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [3999]
    assert await shop.spendable(buyer) == 25


def _intent_of(shop: Shop, invoice_id: str) -> str:
    [payment] = shop.stripe.account.get("invoice", invoice_id)["_payments"]
    return str(payment["payment"]["payment_intent"])


async def everything(shop: Shop) -> tuple[Any, list[dict[str, Any]]]:
    """Let one user do nearly all that one can; return the user and all events, of which none is delivered."""
    buyer, account = await shop.buyer(), shop.stripe.account
    pack = await shop.buy(buyer, pack="medium")
    session = await shop.buy(buyer, tier="remember")
    account.refund(pack["payment_intent"], 433)
    account.change(session["subscription"], "price_forever")
    account.change(session["subscription"], "price_cherish")
    other = await shop.buy(buyer, pack="small")
    account.decide(account.dispute(other["payment_intent"])["id"], won=True)
    lost = await shop.buy(buyer, pack="small")
    account.decide(account.dispute(lost["payment_intent"])["id"], won=False)
    unpaid = account.renew(session["subscription"], paid=False)
    assert unpaid is not None
    account.pay_invoice(unpaid["id"])
    account.set_cancel(session["subscription"], at_period_end=True)
    return buyer, shop.news()


EXPECTED = {"tier": "cherish", "status": "active", "renews": False, "spendable": 20 + 60 + 60 + 10}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_events_in_any_order_and_some_twice_end_in_the_same(shop: Shop, seed: int):
    buyer, events = await everything(shop)
    chance = random.Random(seed)  # noqa: S311 - an order that can be had again
    told = events + chance.sample(events, len(events) // 2)
    chance.shuffle(told)
    await shop.deliver(told[: len(told) // 2])
    await shop.deliver(told[len(told) // 2 :])
    assert not shop.events_set_aside()
    state = await shop.state(buyer)
    assert {name: state[name] for name in EXPECTED} == EXPECTED


@pytest.mark.slow
async def test_what_no_event_told_the_comparison_finds(shop: Shop):
    buyer, _ = await everything(shop)
    compared = await shop.compare()
    assert compared.failures == 0
    state = await shop.state(buyer)
    assert {name: state[name] for name in EXPECTED} == EXPECTED
    await shop.compare()
    assert await shop.state(buyer) == state


@pytest.mark.slow
async def test_late_events_change_nothing_after_a_comparison(shop: Shop):
    buyer, events = await everything(shop)
    await shop.compare()
    state = await shop.state(buyer)
    await shop.deliver(events)
    assert await shop.state(buyer) == state


@pytest.mark.slow
async def test_two_loops_handle_the_same_events_at_once_and_grant_once(shop: Shop, soon: Any):
    buyer, events = await everything(shop)
    for event in events:
        assert await shop.post(event) == 200
    loops = [StripeInbox(shop.billing) for _ in range(2)]
    running = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        await soon(lambda: not shop.events_set_aside(), seconds=60)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    state = await shop.state(buyer)
    assert {name: state[name] for name in EXPECTED} == EXPECTED
