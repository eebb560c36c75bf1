"""Payments, with the web server and the bridge killed at each place: each is granted once, and nobody pays twice."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.api import forked
from tests.api.fault_points import (
    CHECKOUT,
    EVENT,
    FAILED_EVENT,
    RETURNS,
    SECOND_SUBSCRIPTION,
    STORED_EVENT,
    SUBSCRIPTION,
    around,
)

from rekindle_api.billing.inbox import StripeInbox
from rekindle_api.faults import Commit
from rekindle_api.webhooks.repository import WebhookRepository
from rekindle_dev.ports import free_ports

if TYPE_CHECKING:
    from tests.api.billing.conftest import Shop

    from rekindle_dev.controlplane import ControlPlane
else:
    Shop = Any

pytestmark = [pytest.mark.stack, pytest.mark.slow]


class Doomed:
    """Processes of the service with the database and the Stripe account of a shop."""

    def __init__(self, shop: Shop, kubeconfig: str, namespace: str, directory: Path) -> None:
        settings = shop.api.app.state.settings
        stripe = settings.stripe
        self._log = directory / "doomed.log"
        self._environment = {
            **os.environ,
            "DATABASE_URL": settings.database.database_url.get_secret_value(),
            "S3_BUCKET": shop.api.bucket,
            "S3_ENDPOINT_URL": settings.storage.s3_endpoint_url,
            "SUPABASE_URL": settings.auth.supabase_url,
            "KUBECONFIG": kubeconfig,
            "REKINDLE_NAMESPACE": namespace,
            "BRIDGE_PORT": "0",
            "STRIPE_SECRET_KEY": stripe.stripe_secret_key.get_secret_value(),
            "STRIPE_WEBHOOK_SECRETS": ",".join(each.get_secret_value() for each in stripe.stripe_webhook_secrets),
            "STRIPE_API_BASE": stripe.stripe_api_base,
            "STRIPE_PRICES": json.dumps(stripe.stripe_prices),
            "STRIPE_TOP_UP_PRICES": json.dumps(stripe.stripe_top_up_prices),
            "STRIPE_DEPLOYMENT": stripe.stripe_deployment,
            "STRIPE_CLAIM_SECONDS": "1",
            "STRIPE_EVENTS_AT_ONCE": "1",
        }

    async def bridge(self, point: str, **environment: str) -> None:
        """Run a bridge until it kills itself there."""
        process = self._start(point, "bridge", **environment)
        try:
            await asyncio.to_thread(process.join, 60)
            assert process.exitcode == -signal.SIGKILL, self._log.read_text()
        finally:
            process.kill()

    @asynccontextmanager
    async def server(self, point: str) -> AsyncIterator[httpx.AsyncClient]:
        """Serve until the request of the block kills the server."""
        [port] = free_ports(1)
        process = self._start(point, "serve", "--port", str(port))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
                await self._up(http)
                with pytest.raises(httpx.TransportError):
                    yield http
            await asyncio.to_thread(process.join, 60)
            assert process.exitcode == -signal.SIGKILL, self._log.read_text()
        finally:
            process.kill()

    def _start(self, point: str, *arguments: str, **environment: str) -> ForkServerProcess:
        doomed = {**self._environment, **environment, "REKINDLE_FAULT_POINT": point}
        return forked.start(list(arguments), doomed, self._log)

    @staticmethod
    async def _up(http: httpx.AsyncClient) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    await http.get("/healthz")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return


@pytest.fixture
def doomed(shop: Shop, control_plane: "ControlPlane", namespace: str, tmp_path: Path) -> Doomed:
    """Processes that kill themselves, beside the shop."""
    return Doomed(shop, str(control_plane.kubeconfig), namespace, tmp_path)


async def told(shop: Shop) -> None:
    """Have Stripe deliver what is new; nothing of it is handled yet."""
    for event in shop.news():
        assert await shop.post(event) == 200


async def handled(shop: Shop) -> None:
    """Handle events until none is left, also those that the dead had taken."""
    async with asyncio.timeout(30):
        while shop.events_set_aside():
            await StripeInbox(shop.billing).drain()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("point", STORED_EVENT)
async def test_an_event_that_stripe_sends_again_is_stored_and_handled_once(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    paid = next(event for event in shop.news() if event["type"] == "checkout.session.completed")
    body, header = shop.stripe.signed(paid)

    async with doomed.server(point) as http:
        await http.post("/api/webhooks/stripe", content=body, headers={"Stripe-Signature": header})

    assert await shop.post(paid) == 200
    await handled(shop)
    assert shop.api.rows("SELECT count(*) FROM webhook_events") == [(1,)]
    assert await shop.spendable(buyer) == 10


@pytest.mark.parametrize("point", CHECKOUT)
async def test_a_checkout_that_is_asked_for_again_is_of_the_same_customer_and_grants_once(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer = await shop.buyer()

    async with doomed.server(point) as http:
        await http.post("/api/v1/billing/checkout", json={"pack": "small"}, headers=dict(buyer.http.headers))
    await shop.buy(buyer, pack="small")
    await told(shop)
    await handled(shop)

    assert len(list(shop.stripe.account.all("customer"))) == 1
    assert await shop.spendable(buyer) == 10
    assert [payment["amount"] for payment in await shop.payments(buyer)] == [499]


@pytest.mark.parametrize("point", EVENT)
async def test_a_pack_whose_event_was_begun_gives_its_credits_once(shop: Shop, doomed: Doomed, point: str) -> None:
    buyer = await shop.buyer()
    await shop.buy(buyer, pack="small")
    await told(shop)

    await doomed.bridge(point)

    await handled(shop)
    assert await shop.spendable(buyer) == 10
    assert shop.api.rows("SELECT kind, amount FROM credit_entries") == [("granted", 10)]


@pytest.mark.parametrize("point", FAILED_EVENT)
async def test_an_event_that_was_being_put_off_gives_its_credits_once_the_cause_is_mended(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="small")
    await told(shop)
    shop.api.rows(
        "INSERT INTO payments (id, user_id, payment_intent_id, description, amount, currency, paid_at)"
        " VALUES ('cs_other', %s, %s, 'Other', 1, 'usd', now())",
        shop.user_id(buyer),
        session["payment_intent"],
    )
    tries = "1" if point in around(Commit.EVENT_PARKED) else "9"

    await doomed.bridge(point, STRIPE_PARK_AFTER=tries, STRIPE_BACKOFF_SECONDS="0.1")

    shop.api.rows("DELETE FROM payments WHERE id = 'cs_other'")
    async with shop.billing.database.transaction() as transaction:
        inbox = WebhookRepository(transaction)
        for parked in await inbox.parked():
            assert await inbox.replay("stripe", parked.external_id)
    await handled(shop)
    assert await shop.spendable(buyer) == 10
    assert shop.api.rows("SELECT kind, amount FROM credit_entries") == [("granted", 10)]


@pytest.mark.parametrize("point", SUBSCRIPTION)
async def test_a_subscription_whose_events_were_begun_gives_its_tier_and_credits_once(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer = await shop.buyer()
    await shop.buy(buyer, tier="remember")
    await told(shop)

    await doomed.bridge(point)

    await handled(shop)
    state = await shop.state(buyer)
    assert (state["tier"], state["status"], state["spendable"]) == ("remember", "active", 25)
    assert shop.api.rows("SELECT kind, amount FROM credit_entries") == [("granted", 25)]


@pytest.mark.parametrize("point", RETURNS)
async def test_a_refund_whose_event_was_begun_takes_its_credits_once(shop: Shop, doomed: Doomed, point: str) -> None:
    buyer = await shop.buyer()
    session = await shop.buy(buyer, pack="medium")
    await shop.deliver()
    shop.stripe.account.refund(session["payment_intent"], 433)
    await told(shop)

    await doomed.bridge(point)

    await handled(shop)
    assert await shop.spendable(buyer) == 20
    assert shop.api.rows("SELECT sum(amount) FROM credit_entries WHERE kind = 'reversed'") == [(-10,)]


@pytest.mark.parametrize("point", SECOND_SUBSCRIPTION)
async def test_a_second_subscription_whose_end_was_begun_is_ended_and_paid_back_once(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer = await shop.buyer()
    first = await shop.buy(buyer, tier="remember")
    await shop.deliver()
    metadata = {"deployment": "tests", "user_id": str(shop.user_id(buyer))}
    second = shop.stripe.account.subscribe(first["customer"], "price_forever", metadata)
    await told(shop)

    await doomed.bridge(point)

    await handled(shop)
    await told(shop)
    await handled(shop)
    state = await shop.state(buyer)
    assert (state["tier"], state["spendable"]) == ("remember", 25)
    assert shop.stripe.account.get("subscription", second["id"])["status"] == "canceled"
    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [3999]


@pytest.mark.parametrize("point", [*SUBSCRIPTION, *RETURNS])
async def test_a_month_paid_too_late_whose_return_was_begun_is_paid_back_once(
    shop: Shop, doomed: Doomed, point: str
) -> None:
    buyer, user_id, _ = await shop.renewed_when_gone()
    await told(shop)

    await doomed.bridge(point)

    await handled(shop)
    assert [refund["amount"] for refund in shop.stripe.account.all("refund")] == [999]
    paid = "SELECT amount_refunded, credits FROM payments WHERE user_id = %s ORDER BY paid_at"
    assert shop.api.rows(paid, user_id) == [(0, 25), (999, 0)]
    assert await shop.spendable(buyer) == 25
