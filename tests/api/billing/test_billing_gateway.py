"""Every request that is sent to Stripe is one that its OpenAPI knows."""

import inspect
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.billing.errors import StripeRefusedError, StripeUnavailableError
from rekindle_api.billing.gateway import StripeGateway
from rekindle_api.settings import StripeSettings, read

if TYPE_CHECKING:
    from rekindle_dev.stripe_fake import StripeFake
    from rekindle_dev.stripe_mock import StripeMock

pytestmark = pytest.mark.stack
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = {
    "mode": "subscription",
    "customer": "cus_1",
    "client_reference_id": "1",
    "line_items": [{"price": "price_1", "quantity": 1}],
    "success_url": "https://a.example/s",
    "cancel_url": "https://a.example/c",
    "expires_at": 1_800_000_000,
    "metadata": {"deployment": "tests"},
    "subscription_data": {"metadata": {"deployment": "tests"}},
}
PACK = {**{key: value for key, value in SESSION.items() if key != "subscription_data"}, "mode": "payment"}
REQUESTS: dict[str, tuple[Any, ...]] = {
    "price": ("price_1",),
    "create_customer": ("a@example.com", {"deployment": "tests"}, "key"),
    "customer": ("cus_1",),
    "create_session": ({**PACK, "payment_intent_data": {"metadata": {"deployment": "tests"}}}, "key"),
    "session": ("cs_1",),
    "expire_session": ("cs_1",),
    "session_of": ("pi_1",),
    "open_portal": ("cus_1", "https://a.example/r", "bpc_1"),
    "subscription": ("sub_1",),
    "cancel": ("sub_1",),
    "cancel_at_period_end": ("sub_1",),
    "invoice": ("in_1",),
    "invoice_of": ("pi_1",),
    "intent": ("pi_1",),
    "refunds_of": ("pi_1",),
    "disputes_of": ("pi_1",),
    "refund": ("pi_1", {"reason": "second subscription"}),
    "subscriptions": (),
    "subscriptions_of": ("cus_1",),
    "paid_invoices": (SINCE,),
    "paid_invoices_of": ("sub_1",),
    "complete_sessions": (SINCE,),
    "refunds": (SINCE,),
    "disputes": (SINCE,),
}


def gateway_to(url: str, **settings: object) -> StripeGateway:
    """Return a way to an address."""
    given = {"stripe_secret_key": "sk_test_123", "stripe_api_base": url, "stripe_retries": 0, **settings}
    return StripeGateway(read(StripeSettings, given))


async def outcome(call: Awaitable[Any] | AsyncIterator[Any]) -> Any:
    """Wait for an answer, or for all of a list."""
    return [each async for each in call] if isinstance(call, AsyncIterator) else await call


def test_no_request_is_left_out():
    methods = {name for name, _ in inspect.getmembers(StripeGateway, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"close"} == REQUESTS.keys()


@pytest.mark.parametrize("name", REQUESTS)
async def test_stripes_own_openapi_takes_each_request_and_its_answer_can_be_read(stripe_mock: "StripeMock", name: str):
    stripe = gateway_to(stripe_mock.url)
    try:
        await outcome(getattr(stripe, name)(*REQUESTS[name]))
    finally:
        await stripe.close()


async def test_a_subscription_is_sold_with_parameters_that_stripe_takes(stripe_mock: "StripeMock"):
    stripe = gateway_to(stripe_mock.url)
    assert (await stripe.create_session(SESSION, "key")).id.startswith("cs_")
    with pytest.raises(StripeRefusedError):
        await stripe.create_session({**SESSION, "no_such_parameter": 1}, "other key")
    await stripe.close()


async def test_a_request_without_an_answer_is_one_to_send_again(stripe_fake: "StripeFake"):
    stripe = gateway_to(stripe_fake.url, stripe_secret_key=stripe_fake.secret_key)
    stripe_fake.break_next(1)
    with pytest.raises(StripeUnavailableError):
        await stripe.price("price_small")
    assert (await stripe.price("price_small")).unit_amount == 499
    await stripe.close()
    silent = gateway_to("http://127.0.0.1:9")
    with pytest.raises(StripeUnavailableError):
        await silent.price("price_small")
    await silent.close()


async def test_a_key_that_stripe_does_not_know_is_no_matter_of_time(stripe_fake: "StripeFake"):
    stripe = gateway_to(stripe_fake.url, stripe_secret_key="sk_test_of_somebody")
    with pytest.raises(StripeRefusedError):
        await stripe.price("price_small")
    await stripe.close()


async def test_the_same_key_makes_one_customer_and_lists_are_read_to_their_end(stripe_fake: "StripeFake"):
    stripe = gateway_to(stripe_fake.url, stripe_secret_key=stripe_fake.secret_key)
    made = {(await stripe.create_customer("a@example.com", {}, "key")).id for _ in range(3)}
    assert len(made) == 1
    [customer] = made
    for _ in range(105):
        stripe_fake.account.subscribe(customer, "price_remember", {})
    assert len({each.id async for each in stripe.subscriptions_of(customer)}) == 105
    await stripe.close()
