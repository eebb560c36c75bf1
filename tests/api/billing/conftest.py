"""A shop: the web server with an account of Stripe behind it, and hands that play customers, Stripe and the bridge."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest

from rekindle_api.billing.comparison import Compared, Comparison
from rekindle_api.billing.context import Billing
from rekindle_api.billing.inbox import StripeInbox
from rekindle_api.credits import service as credits_service

if TYPE_CHECKING:
    from rekindle_dev.stripe_fake import StripeFake
    from rekindle_dev.stripe_mock import StripeMock

DEPLOYMENT = "tests"
PRICES = {"remember": "price_remember", "cherish": "price_cherish", "forever": "price_forever"}
TOP_UPS = {"small": "price_small", "medium": "price_medium"}
AMOUNTS = {
    "price_remember": 999,
    "price_cherish": 1999,
    "price_forever": 3999,
    "price_small": 499,
    "price_medium": 1299,
}


class Customer(Protocol):
    """A user of the service, as the fixtures of the web server make one."""

    id: str
    http: httpx.AsyncClient


@pytest.fixture(scope="session")
def stripe_mock(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[StripeMock]":
    """Stripe's own server for checks; it knows the OpenAPI and keeps no state."""
    from rekindle_dev.stripe_mock import StripeMock  # noqa: PLC0415 - only in the sessions that use it

    with StripeMock.start(tmp_path_factory.mktemp("stripe-mock")) as mock:
        yield mock


@pytest.fixture
def stripe_fake(stripe_mock: "StripeMock") -> "Iterator[StripeFake]":
    """An account of Stripe whose every request and answer stripe-mock has judged in the end."""
    from rekindle_dev.stripe_fake import StripeFake  # noqa: PLC0415 - same

    with StripeFake.start(stripe_mock.url) as fake:
        for price, amount in AMOUNTS.items():
            fake.account.price(price, amount, monthly=price in PRICES.values())
        yield fake
        assert fake.judge is not None
        assert not fake.judge.strange


@dataclass
class Shop:
    """The web server, Stripe, and what stands between."""

    api: Any
    stripe: "StripeFake"
    told: int = 0
    """How many of Stripe's events were delivered."""
    buyers: list[Customer] = field(default_factory=list)

    @property
    def billing(self) -> Billing:
        """What the web server and the bridge work with."""
        billing: Billing = self.api.app.state.billing
        return billing

    @property
    def webhook(self) -> str:
        """Where events go."""
        return f"{self.api.url}/api/webhooks/stripe"

    async def buyer(self) -> Customer:
        """Return a new user without credits."""
        account: Customer = self.api.account(credits_=0)
        await account.http.get("/api/v1/credits/balance")
        self.buyers.append(account)
        return account

    def user_id(self, account: Customer) -> uuid.UUID:
        """Return our own id of a user."""
        [[user_id]] = self.api.rows("SELECT id FROM users WHERE supabase_user_id = %s", account.id)
        return uuid.UUID(str(user_id))

    async def checkout(self, account: Customer, **wanted: str) -> str:
        """Open a Checkout page that must open; return the session's id."""
        reply = await account.http.post("/api/v1/billing/checkout", json=wanted)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def buy(self, account: Customer, **wanted: str) -> dict[str, Any]:
        """Open a Checkout page and pay there; return the session as Stripe has it. No event is delivered."""
        return self.stripe.account.pay(await self.checkout(account, **wanted))

    async def renewed_when_gone(self) -> tuple[Customer, uuid.UUID, dict[str, Any]]:
        """Return a subscriber whose account has ended, our id, and the invoice of the month that renewed after that."""
        buyer = await self.buyer()
        session = await self.buy(buyer, tier="remember")
        await self.deliver()
        user_id = self.user_id(buyer)
        self.api.rows("UPDATE users SET status = 'deleted', deleted_at = now() WHERE id = %s", user_id)
        invoice = self.stripe.account.renew(session["subscription"])
        assert invoice is not None
        return buyer, user_id, invoice

    def news(self) -> list[dict[str, Any]]:
        """Return the events that were not delivered yet."""
        events = self.stripe.account.events[self.told :]
        self.told = len(self.stripe.account.events)
        return events

    async def deliver(self, events: Iterable[dict[str, Any]] | None = None) -> None:
        """Deliver events, or all that are new, and handle them."""
        for event in self.news() if events is None else events:
            assert await self.post(event) == 200
        await StripeInbox(self.billing).drain()

    async def post(self, event: dict[str, Any], **signing: Any) -> int:
        """Deliver one event; return the status of the answer."""
        body, header = self.stripe.signed(event, **signing)
        reply = await self.api.http.post(self.webhook, content=body, headers={"Stripe-Signature": header})
        return int(reply.status_code)

    async def compare(self) -> Compared:
        """Compare with Stripe."""
        return await Comparison(self.billing).compare()

    async def spendable(self, account: Customer) -> int:
        """Return how many credits a user can spend."""
        async with self.billing.database.transaction() as session:
            return await credits_service.spendable(session, self.user_id(account))

    async def spend(self, account: Customer, amount: int) -> None:
        """Spend credits as a completed attempt does."""
        attempt = uuid.uuid4()
        async with self.billing.database.transaction() as session:
            await credits_service.hold(session, self.user_id(account), attempt, amount, "Restored")
            await credits_service.settle(session, self.user_id(account), attempt, amount)

    async def subscription(self, account: Customer) -> dict[str, Any]:
        """Return what the user is told of the subscription."""
        reply = await account.http.get("/api/v1/billing/subscription")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def payments(self, account: Customer) -> list[dict[str, Any]]:
        """Return what the user is told of payments, newest first."""
        reply = await account.http.get("/api/v1/billing/payments")
        assert reply.status_code == 200, reply.text
        return list(reply.json()["payments"])

    async def state(self, account: Customer) -> dict[str, Any]:
        """Return everything that follows from a user's payments."""
        told = await self.subscription(account)
        return {
            "tier": told["tier"],
            "status": told["status"],
            "renews": told["renews_at"] is not None,
            "spendable": await self.spendable(account),
            "payments": sorted(
                (each["amount"], each["amount_refunded"], each["credits"]) for each in await self.payments(account)
            ),
        }

    async def ledger_problems(self) -> list[str]:
        """Return what does not add up."""
        async with self.billing.database.transaction() as session:
            return await credits_service.check(session)

    def events_set_aside(self) -> list[str]:
        """Return what went wrong with events."""
        rows = self.api.rows("SELECT type, last_error FROM webhook_events WHERE handled_at IS NULL")
        return [f"{kind}: {error}" for kind, error in rows]


StartShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def start_shop(start_api: Callable[..., Awaitable[Any]], stripe_fake: "StripeFake") -> AsyncIterator[StartShop]:
    """Open a shop; keyword arguments are settings. In the end every ledger adds up."""
    shops: list[Shop] = []

    async def start(**overrides: object) -> Shop:
        settings: dict[str, object] = {
            "stripe_secret_key": stripe_fake.secret_key,
            "stripe_webhook_secrets": ["whsec_the_one_before", stripe_fake.webhook_secret],
            "stripe_api_base": stripe_fake.url,
            "stripe_prices": PRICES,
            "stripe_top_up_prices": TOP_UPS,
            "stripe_deployment": DEPLOYMENT,
            "stripe_retries": 0,
            "stripe_backoff_seconds": 0.01,
            **overrides,
        }
        shops.append(Shop(await start_api(**settings), stripe_fake))
        return shops[-1]

    yield start
    for shop in shops:
        assert not await shop.ledger_problems()


@pytest.fixture
async def shop(start_shop: StartShop) -> Shop:
    """A shop with the usual settings."""
    return await start_shop()
