"""What users can do to pay: plans, Checkout pages and the portal; and that nobody is billed who wants to go."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.billing.deletion import cancel_for_deletion

if TYPE_CHECKING:
    from tests.api.billing.conftest import Shop, StartShop
else:
    Shop = StartShop = Any

pytestmark = pytest.mark.stack


async def test_plans_tell_everybody_what_there_is_and_what_it_costs(shop: Shop):
    reply = await shop.api.http.get("/api/v1/billing/plans")
    assert reply.status_code == 200
    plans = reply.json()
    assert [(tier["tier"], tier["credits"], tier["price"]) for tier in plans["tiers"]] == [
        ("free", 3, None),
        ("remember", 25, {"amount": 999, "currency": "usd"}),
        ("cherish", 60, {"amount": 1999, "currency": "usd"}),
        ("forever", 150, {"amount": 3999, "currency": "usd"}),
    ]
    assert [(pack["pack"], pack["credits"], pack["price"] is None) for pack in plans["packs"]] == [
        ("small", 10, False),
        ("medium", 30, False),
        ("large", 100, True),
    ]
    assert plans["costs"]["restore"] == 2


async def test_prices_are_asked_for_once_and_old_ones_are_better_than_none(shop: Shop):
    for _ in range(3):
        assert (await shop.api.http.get("/api/v1/billing/plans")).status_code == 200
    assert len([asked for asked in shop.stripe.requests if "/prices/" in asked]) == 5


async def test_without_a_key_of_stripe_nothing_is_sold_and_plans_say_so(start_api: Any):
    api = await start_api()
    account = api.account(credits_=0)
    for method, path, body in (
        ("POST", "/api/v1/billing/checkout", {"pack": "small"}),
        ("POST", "/api/v1/billing/portal", None),
        ("POST", "/api/webhooks/stripe", {}),
    ):
        reply = await account.http.request(method, path, json=body)
        assert (reply.status_code, reply.json()["code"]) == (503, "billing_unavailable")
    plans = (await api.http.get("/api/v1/billing/plans")).json()
    assert plans["available"] is False
    assert (await account.http.get("/api/v1/billing/subscription")).json()["tier"] == "free"


async def test_a_checkout_names_user_and_deployment_and_makes_one_customer(shop: Shop):
    buyer = await shop.buyer()
    opened = await asyncio.gather(*(shop.checkout(buyer, pack="small") for _ in range(3)))
    sessions = [shop.stripe.account.get("checkout.session", each) for each in opened]
    assert len({each["customer"] for each in sessions}) == 1
    assert len(list(shop.stripe.account.all("customer"))) == 1
    user_id = str(shop.user_id(buyer))
    assert {each["client_reference_id"] for each in sessions} == {user_id}
    marks = {"deployment": "tests", "user_id": user_id, "item": "small", "credits": "10"}
    assert all(each["metadata"] == marks for each in sessions)


async def test_a_second_checkout_closes_the_first(shop: Shop):
    buyer = await shop.buyer()
    first = await shop.checkout(buyer, tier="remember")
    second = await shop.checkout(buyer, pack="small")
    states = [shop.stripe.account.get("checkout.session", each)["status"] for each in (first, second)]
    assert states == ["expired", "open"]


async def test_of_many_checkouts_opened_at_once_one_stays_open(shop: Shop):
    buyer = await shop.buyer()
    await asyncio.gather(*(shop.checkout(buyer, pack="small") for _ in range(5)))
    open_now = [each["id"] for each in shop.stripe.account.all("checkout.session") if each["status"] == "open"]
    assert len(open_now) == 1


async def test_a_first_checkout_that_was_paid_counts_when_a_second_is_opened(shop: Shop):
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    await shop.checkout(buyer, pack="small")
    assert await shop.spendable(buyer) == 10


async def test_a_second_subscription_is_refused_even_before_any_event_told_of_the_first(shop: Shop):
    buyer = await shop.buyer()
    await shop.buy(buyer, tier="remember")
    reply = await buyer.http.post("/api/v1/billing/checkout", json={"tier": "forever"})
    assert (reply.status_code, reply.json()["code"]) == (409, "already_subscribed")
    assert "/api/v1/billing/portal" in reply.json()["detail"]
    assert (await shop.subscription(buyer))["tier"] == "remember"
    await shop.checkout(buyer, pack="small")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "invalid_request"),
        ({"tier": "remember", "pack": "small"}, "invalid_request"),
        ({"tier": "gold"}, "invalid_request"),
        ({"tier": "free"}, "not_for_sale"),
        ({"pack": "large"}, "not_for_sale"),
        ({"pack": "no such pack"}, "not_for_sale"),
    ],
)
async def test_what_is_not_for_sale_is_refused(shop: Shop, wanted: dict[str, str], code: str):
    buyer = await shop.buyer()
    reply = await buyer.http.post("/api/v1/billing/checkout", json=wanted)
    assert (reply.status_code, reply.json()["code"]) == (422, code)
    assert not list(shop.stripe.account.all("checkout.session"))


async def test_the_same_idempotency_key_opens_one_page(shop: Shop):
    buyer = await shop.buyer()
    replies = [
        await buyer.http.post("/api/v1/billing/checkout", json={"pack": "small"}, headers={"Idempotency-Key": "k-1"})
        for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    assert len(list(shop.stripe.account.all("checkout.session"))) == 1


async def test_many_checkouts_at_once_do_not_use_the_database_up(
    start_shop: StartShop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rekindle_api.billing.context._TURN_SECONDS", 120)
    shop = await start_shop(database_pool_size=6, database_pool_overflow=0)
    buyers = [await shop.buyer() for _ in range(12)]

    def checkout(number: int) -> Any:
        key = {"Idempotency-Key": f"k-{number}"}
        return buyers[number].http.post("/api/v1/billing/checkout", json={"pack": "small"}, headers=key)

    replies = await asyncio.gather(*(checkout(number) for number in range(len(buyers))))

    assert [reply.status_code for reply in replies] == [201] * len(buyers)


async def test_stripe_out_of_reach_is_told_and_leaves_nothing_behind(shop: Shop):
    buyer = await shop.buyer()
    shop.stripe.break_next(1)
    reply = await buyer.http.post("/api/v1/billing/checkout", json={"pack": "small"})
    assert (reply.status_code, reply.json()["code"]) == (503, "stripe_unavailable")
    await shop.buy(buyer, pack="small")
    await shop.deliver()
    assert await shop.spendable(buyer) == 10


async def test_the_portal_opens_for_whoever_bought_something(shop: Shop):
    buyer = await shop.buyer()
    reply = await buyer.http.post("/api/v1/billing/portal")
    assert (reply.status_code, reply.json()["code"]) == (404, "no_customer")
    await shop.checkout(buyer, pack="small")
    reply = await buyer.http.post("/api/v1/billing/portal")
    assert reply.status_code == 200
    assert reply.json()["url"].startswith("https://billing.stripe.com/")


async def test_a_pack_gives_what_was_promised_when_it_was_opened(start_shop: StartShop):
    shop = await start_shop(top_ups={"small": 10, "medium": 30})
    buyer = await shop.buyer()
    session = await shop.checkout(buyer, pack="small")
    shop.billing.plans.top_ups["small"] = 7
    shop.stripe.account.pay(session)
    await shop.deliver()
    assert await shop.spendable(buyer) == 10


async def test_nobody_sees_anothers_payments(shop: Shop):
    buyer, other = await shop.buyer(), await shop.buyer()
    await shop.buy(buyer, tier="remember")
    await shop.deliver()
    assert await shop.payments(other) == []
    assert (await shop.subscription(other))["status"] is None


async def test_whoever_wants_to_go_is_not_billed_again_and_whoever_is_gone_not_at_all(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    user_id = shop.user_id(buyer)
    shop.api.rows(
        "UPDATE users SET status = 'deletion_requested', deletion_requested_at = now() WHERE id = %s", user_id
    )
    for _ in range(2):
        assert await cancel_for_deletion(shop.billing, user_id)
    subscription = shop.stripe.account.get("subscription", session["subscription"])
    assert (subscription["status"], subscription["cancel_at_period_end"]) == ("active", True)
    shop.api.rows("UPDATE users SET status = 'deleted', deleted_at = now() WHERE id = %s", user_id)
    for _ in range(2):
        assert await cancel_for_deletion(shop.billing, user_id)
    assert subscription["status"] == "canceled"


async def test_a_page_of_whoever_goes_cannot_be_paid_any_more(shop: Shop):
    buyer = await shop.buyer()
    page = await shop.checkout(buyer, tier="remember")
    user_id = shop.user_id(buyer)
    shop.api.rows("UPDATE users SET status = 'deletion_requested' WHERE id = %s", user_id)

    assert await cancel_for_deletion(shop.billing, user_id)

    assert shop.stripe.account.get("checkout.session", page)["status"] == "expired"


async def test_whoever_took_the_deletion_back_meanwhile_keeps_subscription_and_page(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    page = await shop.checkout(buyer, pack="small")

    assert await cancel_for_deletion(shop.billing, shop.user_id(buyer))

    assert shop.stripe.account.get("checkout.session", page)["status"] == "open"
    subscription = shop.stripe.account.get("subscription", session["subscription"])
    assert (subscription["status"], subscription["cancel_at_period_end"]) == ("active", False)


async def test_whoever_takes_the_deletion_back_while_a_page_is_closed_keeps_the_subscription(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    await shop.checkout(buyer, pack="small")
    user_id = shop.user_id(buyer)
    shop.api.rows("UPDATE users SET status = 'deletion_requested' WHERE id = %s", user_id)
    close = shop.stripe.account.expire_session

    def change_ones_mind(session_id: str) -> dict[str, Any]:
        shop.api.rows("UPDATE users SET status = 'active' WHERE id = %s", user_id)
        return close(session_id)

    monkeypatch.setattr(shop.stripe.account, "expire_session", change_ones_mind)

    assert await cancel_for_deletion(shop.billing, user_id)

    assert not shop.stripe.account.get("subscription", session["subscription"])["cancel_at_period_end"]


@pytest.mark.parametrize("wanted", [{"pack": "small"}, {"tier": "remember"}])
async def test_what_is_paid_for_an_account_that_is_gone_is_paid_back(shop: Shop, wanted: dict[str, str]):
    buyer = await shop.buyer()
    page = await shop.checkout(buyer, **wanted)
    user_id = shop.user_id(buyer)
    ended = "UPDATE users SET status = 'deleted', deleted_at = now() - interval '1 minute' WHERE id = %s"
    shop.api.rows(ended, user_id)
    shop.stripe.account.pay(page)

    events = shop.news()
    for _ in range(2):
        await shop.deliver(events)

    [[amount, refunded]] = shop.api.rows("SELECT amount, amount_refunded FROM payments WHERE user_id = %s", user_id)
    assert amount == refunded > 0
    assert await shop.spendable(buyer) == 0
    assert all(each["status"] == "canceled" for each in shop.stripe.account.all("subscription"))


async def test_a_month_that_is_paid_after_the_account_ended_is_paid_back_and_those_before_are_not(shop: Shop):
    buyer, user_id, _ = await shop.renewed_when_gone()

    events = shop.news()
    for _ in range(2):
        await shop.deliver(events)
    assert (await shop.compare()).failures == 0

    paid = "SELECT amount, amount_refunded, credits FROM payments WHERE user_id = %s ORDER BY paid_at"
    assert shop.api.rows(paid, user_id) == [(999, 0, 25), (999, 999, 0)]
    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [999]
    assert await shop.spendable(buyer) == 25


async def test_a_month_paid_too_late_is_paid_back_by_the_comparison_when_the_bank_held_it_before(shop: Shop):
    buyer, _, invoice = await shop.renewed_when_gone()
    dispute = shop.stripe.account.dispute(invoice["_payments"][0]["payment"]["payment_intent"])
    await shop.deliver()
    assert list(shop.stripe.account.all("refund")) == []
    shop.stripe.account.decide(dispute["id"], won=True)

    for _ in range(2):
        assert (await shop.compare()).failures == 0

    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [999]
    assert await shop.spendable(buyer) == 25


async def test_what_was_bought_before_the_account_ended_is_not_paid_back_when_its_event_comes_again(shop: Shop):
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    events = shop.news()
    await shop.deliver(events)
    user_id = shop.user_id(buyer)
    shop.api.rows("UPDATE users SET status = 'deleted', deleted_at = now() WHERE id = %s", user_id)
    shop.api.rows("UPDATE webhook_events SET handled_at = NULL, available_at = now(), claimed_until = NULL")

    await shop.deliver([])

    assert shop.api.rows("SELECT amount_refunded FROM payments WHERE user_id = %s", user_id) == [(0,)]


async def test_a_cancellation_that_failed_is_tried_again_by_the_comparison(shop: Shop):
    buyer = await shop.buyer()
    session = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    user_id = shop.user_id(buyer)
    shop.api.rows("UPDATE users SET status = 'deleted', deleted_at = now() WHERE id = %s", user_id)
    shop.stripe.break_next(1)
    assert not await cancel_for_deletion(shop.billing, user_id)
    assert (await shop.compare()).failures == 0
    assert shop.stripe.account.get("subscription", session["subscription"])["status"] == "canceled"
