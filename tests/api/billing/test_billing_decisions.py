"""What Stripe's words come to, and which settings of Stripe are taken: without any server."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle_api.billing.decisions import credits_of_invoice, credits_taken, returns_of, standing
from rekindle_api.billing.events import SUBJECTS, Event
from rekindle_api.billing.gateway import API_VERSION
from rekindle_api.billing.months import add_months, month_before
from rekindle_api.billing.remote import InvoiceLine, RemoteDispute, RemoteRefund
from rekindle_api.settings import InvalidSettingsError, PlanSettings, StripeSettings, Tier, read

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CREDITS = {Tier.FREE: 3, Tier.REMEMBER: 25, Tier.CHERISH: 60, Tier.FOREVER: 150}
TIERS = {"price_r": Tier.REMEMBER, "price_c": Tier.CHERISH, "price_f": Tier.FOREVER}


@dataclass(frozen=True)
class Known:
    """A subscription as the tables have it."""

    id: str = "sub_1"
    status: str = "active"
    tier: str = "remember"
    superseded: bool = False
    started_at: datetime = NOW
    current_period_end: datetime | None = NOW + timedelta(days=30)
    cancel_at_period_end: bool = False


@pytest.mark.parametrize(
    ("status", "tier"),
    [
        ("active", "remember"),
        ("trialing", "remember"),
        ("past_due", "remember"),
        ("unpaid", "free"),
        ("paused", "free"),
        ("incomplete", "free"),
        ("incomplete_expired", "free"),
        ("canceled", "free"),
        ("a word that Stripe will think of", "free"),
    ],
)
def test_each_status_of_a_subscription_gives_its_tier_or_free(status: str, tier: str):
    assert standing([Known(status=status)]).tier == tier


def test_the_first_subscription_that_lives_counts_and_any_other_is_too_many():
    first, second = Known(), Known(id="sub_2", tier="forever", started_at=NOW + timedelta(days=1))
    for order in ([first, second], [second, first]):
        found = standing(order)
        assert (found.tier, found.superseded) == (Tier.REMEMBER, frozenset({"sub_2"}))
    assert standing([replace(first, status="canceled"), second]).tier == "forever"


def test_a_cancelled_subscription_does_not_renew():
    assert standing([Known()]).renews_at == NOW + timedelta(days=30)
    assert standing([Known(cancel_at_period_end=True)]).renews_at is None


def line(
    price: str, amount: int, *, share: float = 1, proration: bool = False, subscription: bool = True
) -> InvoiceLine:
    """Return a line for the last `share` of June."""
    end = datetime(2026, 7, 1, tzinfo=UTC)
    details = {"subscription_item_details": {"proration": proration}} if subscription else {}
    return InvoiceLine.model_validate(
        {
            "id": "il_1",
            "amount": amount,
            "pricing": {"price_details": {"price": price}},
            "parent": details,
            "period": {"start": int((end - timedelta(days=30 * share)).timestamp()), "end": int(end.timestamp())},
        }
    )


def change(before: str, after: str, share: float) -> list[InvoiceLine]:
    """Return what Stripe bills for a change with this share of the month left."""
    return [line(before, -100, share=share, proration=True), line(after, 200, share=share, proration=True)]


@pytest.mark.parametrize(
    ("lines", "credits_"),
    [
        ([line("price_r", 999)], 25),
        ([line("price_r", 0)], 25),
        (change("price_r", "price_f", 1), 125),
        (change("price_r", "price_f", 0.5), 63),
        (change("price_r", "price_f", 1 / 3000), 0),
        (change("price_f", "price_r", 0.5), -63),
        ([line("price_f", 3999), *change("price_r", "price_f", 0.2)], 175),
        ([line("price_r", 999), line("price_other", 500, subscription=False)], 25),
        ([line("price_f", -100, share=0.5, proration=True)], -75),
        ([line("price_f", -100, share=0.5, proration=True), line("price_other", 500, subscription=False)], -75),
    ],
)
def test_an_invoice_gives_whole_months_whole_and_parts_in_proportion(lines: list[InvoiceLine], credits_: int):
    found = credits_of_invoice(lines, NOW, TIERS.__getitem__, CREDITS)
    assert found is not None
    assert found.credits == credits_


@given(hours=st.integers(min_value=0, max_value=40_000), month=st.integers(min_value=1, max_value=40))
def test_a_change_at_the_beginning_of_a_month_counts_whole_on_whatever_day_it_began(hours: int, month: int):
    began = NOW + timedelta(hours=hours)
    begin, end = add_months(began, month - 1), add_months(began, month)
    lines = [
        one.model_copy(update={"period_start": begin, "period_end": end}) for one in change("price_r", "price_f", 1)
    ]
    found = credits_of_invoice(lines, began, TIERS.__getitem__, CREDITS)
    assert found is not None
    assert found.credits == CREDITS[Tier.FOREVER] - CREDITS[Tier.REMEMBER]


def test_a_month_of_another_day_than_the_subscription_s_began_on_the_same_day_of_the_month_before():
    end = datetime(2026, 3, 17, 12, tzinfo=UTC)
    assert month_before(end, datetime(2026, 1, 31, tzinfo=UTC)) == datetime(2026, 2, 17, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "tier"),
    [
        (change("price_r", "price_f", 0.5), Tier.FOREVER),
        ([*reversed(change("price_r", "price_f", 0.5))], Tier.FOREVER),
        ([line("price_r", -100, proration=True), line("price_f", 200, share=0.5)], Tier.FOREVER),
        ([line("price_r", -100, proration=True)], None),
    ],
)
def test_an_invoice_is_for_what_it_charges_and_not_for_what_it_gives_back(lines: list[InvoiceLine], tier: Tier | None):
    found = credits_of_invoice(lines, NOW, TIERS.__getitem__, CREDITS)
    assert found is not None
    assert found.tier == tier


def test_an_invoice_for_no_subscription_gives_nothing():
    assert credits_of_invoice([line("price_other", 500, subscription=False)], NOW, TIERS.__getitem__, CREDITS) is None


@pytest.mark.parametrize(
    ("granted", "amount", "taken", "credits_"),
    [(30, 1299, 1299, 30), (30, 1299, 433, 10), (10, 499, 1, 0), (10, 499, 9999, 10), (-90, 0, 0, 0), (10, 0, 5, 0)],
)
def test_credits_go_back_in_proportion_to_the_money(granted: int, amount: int, taken: int, credits_: int):
    assert credits_taken(granted, amount, taken) == credits_


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        ("needs_response", True),
        ("under_review", True),
        ("lost", True),
        ("won", False),
        ("warning_needs_response", False),
    ],
)
def test_a_dispute_takes_while_it_holds_the_money(status: str, stands: bool):
    [found] = returns_of([], [RemoteDispute(id="dp_1", amount=5, status=status, created=NOW)])
    assert found.stands is stands


@pytest.mark.parametrize(
    ("status", "stands"), [("succeeded", True), ("pending", True), ("failed", False), ("canceled", False)]
)
def test_a_refund_takes_unless_it_failed(status: str, stands: bool):
    [found] = returns_of([RemoteRefund(id="re_1", amount=5, status=status, created=NOW)], [])
    assert found.stands is stands


def test_months_are_calendar_months():
    assert add_months(datetime(2026, 1, 31, tzinfo=UTC), 1) == datetime(2026, 2, 28, tzinfo=UTC)
    assert add_months(datetime(2026, 12, 5, tzinfo=UTC), 12) == datetime(2027, 12, 5, tzinfo=UTC)
    assert add_months(datetime(2026, 1, 15, tzinfo=UTC), -1) == datetime(2025, 12, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "subject", "found"),
    [
        ("invoice.paid", {"id": "in_1"}, "in_1"),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1"}, "pi_1"),
        ("charge.dispute.closed", {"id": "dp_1", "payment_intent": {"id": "pi_1"}}, "pi_1"),
        ("charge.refunded", {"id": "ch_1", "payment_intent": None}, None),
        ("invoice.paid", {"id": 5}, None),
        ("customer.updated", {"id": "cus_1"}, None),
    ],
)
def test_an_event_says_which_object_to_look_at(kind: str, subject: dict[str, Any], found: str | None):
    event = Event.model_validate(
        {"id": "evt_1", "type": kind, "created": 1, "livemode": False, "data": {"object": subject}}
    )
    assert event.object_id == found


LIVE: dict[str, object] = {
    "environment": "production",
    "stripe_secret_key": "sk_live_1",
    "stripe_webhook_secrets": f"whsec_{uuid.uuid4().hex}, whsec_{uuid.uuid4().hex}",
    "stripe_prices": {"remember": ["price_new", "price_old"]},
    "stripe_success_url": "https://a.example/s",
    "stripe_cancel_url": "https://a.example/c",
    "stripe_return_url": "https://a.example/r",
    "stripe_deployment": "shop",
}


def test_production_takes_whole_settings_and_knows_old_prices():
    settings = read(StripeSettings, LIVE)
    settings.check_web_server()
    assert (settings.livemode, len(settings.stripe_webhook_secrets), settings.deployment) == (True, 2, "shop")
    assert settings.sold == {"remember": "price_new"}
    assert settings.tier_of("price_old") is Tier.REMEMBER


@pytest.mark.parametrize(
    ("wrong", "variable"),
    [
        ({"stripe_secret_key": "sk_test_1"}, "STRIPE_SECRET_KEY"),
        ({"stripe_secret_key": "pk_live_1"}, "STRIPE_SECRET_KEY"),
        ({"stripe_webhook_secrets": ""}, "STRIPE_WEBHOOK_SECRETS"),
        ({"stripe_webhook_secrets": "whsec_short"}, "STRIPE_WEBHOOK_SECRETS"),
        ({"stripe_prices": {}}, "STRIPE_PRICES"),
        ({"stripe_prices": {"free": "price_1"}}, "STRIPE_PRICES"),
        ({"stripe_prices": {"remember": "price_1", "cherish": "price_1"}}, "STRIPE_PRICES"),
        ({"stripe_success_url": "http://a.example"}, "STRIPE_SUCCESS_URL"),
        ({"stripe_api_base": "http://127.0.0.1"}, "STRIPE_API_BASE"),
        ({"stripe_deployment": None}, "STRIPE_DEPLOYMENT"),
    ],
)
def test_production_refuses_what_is_weak_or_missing(wrong: dict[str, object], variable: str):
    with pytest.raises(InvalidSettingsError, match=variable) as refused:
        read(StripeSettings, {**LIVE, **wrong}).check_web_server()
    assert "sk_" not in str(refused.value) or "must begin" in str(refused.value)


def test_bridge_and_sweep_need_neither_pages_nor_secrets_of_webhooks():
    only_web = ("stripe_webhook_secrets", "stripe_success_url", "stripe_cancel_url", "stripe_return_url")
    assert read(StripeSettings, {name: value for name, value in LIVE.items() if name not in only_web}).livemode


def test_a_pack_on_sale_must_hold_credits():
    settings = read(StripeSettings, {**LIVE, "stripe_top_up_prices": {"giant": "price_9"}})
    with pytest.raises(InvalidSettingsError, match="TOP_UPS has no giant"):
        settings.check_packs(read(PlanSettings))


def test_development_moves_no_real_money():
    with pytest.raises(InvalidSettingsError, match="test keys only"):
        read(StripeSettings, {"stripe_secret_key": "sk_live_1"})


def test_without_a_key_nothing_is_sold_even_in_production():
    assert not read(StripeSettings, {"environment": "production"}).enabled


def test_the_documentation_names_each_event_that_is_taken_and_no_other():
    page = (Path(__file__).parents[3] / "docs/billing.md").read_text(encoding="utf-8")
    block = page.partition("these events:")[2].split("```")[1]
    assert set(block.split()) == set(SUBJECTS)
    assert API_VERSION in page
