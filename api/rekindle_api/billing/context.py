"""What everything on payments works with, and the one lock under which a user's payments are looked at and changed."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.billing.errors import StripeUnavailableError, UnknownPriceError
from rekindle_api.billing.gateway import StripeGateway
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.database import Database
from rekindle_api.settings import PlanSettings, StripeSettings, Tier

_log = logging.getLogger(__name__)
_TURN_SECONDS = 10.0
_DEPLOYMENT, _USER = "deployment", "user_id"


@dataclass(frozen=True)
class Billing:
    """Database, Stripe, and what is sold."""

    database: Database
    stripe: StripeGateway
    settings: StripeSettings
    plans: PlanSettings
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @classmethod
    def open(cls, database: Database, settings: StripeSettings, plans: PlanSettings) -> "Billing | None":
        """Return what payments need; None when nothing is sold.

        Raises:
            InvalidSettingsError: a pack has a price and no credits.
        """
        if not settings.enabled:
            return None
        settings.check_packs(plans)
        # Each may hold two connections: the others are for those who buy nothing, also when Stripe is slow.
        turns = asyncio.Semaphore(max(1, database.connections // 2 - 1))
        return cls(database, StripeGateway(settings), settings, plans, turns)

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self.stripe.close()

    def mark(self, user_id: uuid.UUID, **more: object) -> dict[str, str]:
        """Return the metadata that make an object at Stripe ours: its deployment and user, and whatever else."""
        named = {key: str(value) for key, value in more.items()}
        return {_DEPLOYMENT: self.settings.deployment, _USER: str(user_id), **named}

    def owner(self, metadata: Mapping[str, str]) -> uuid.UUID | None:
        """Return the user that an object at Stripe belongs to; None when it is not of this deployment."""
        if metadata.get(_DEPLOYMENT) != self.settings.deployment:
            return None
        try:
            return uuid.UUID(metadata.get(_USER, ""))
        except ValueError:
            _log.warning("metadata name no user", extra={"deployment": self.settings.deployment})
            return None

    def tier_of(self, price_id: str) -> Tier:
        """Return the tier that a price stands for.

        Raises:
            UnknownPriceError: no setting names it.
        """
        if (tier := self.settings.tier_of(price_id)) is None:
            raise UnknownPriceError(f"STRIPE_PRICES has no {price_id}: add it to the list of its tier")
        return tier

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Wait for a turn to ask Stripe while a user waits, who may hold two connections to the database meanwhile.

        Raises:
            StripeUnavailableError: those before take too long.
        """
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self.turns.acquire()
        except TimeoutError as error:
            raise StripeUnavailableError("too many wait") from error
        try:
            yield
        finally:
            self.turns.release()

    @asynccontextmanager
    async def alone(self, user_id: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """Open a transaction in which nobody else changes this user's payments.

        What Stripe says is read again inside: who read before the lock would write what is no longer true. Only others
        who want the same wait meanwhile, for no row is locked yet.
        """
        async with self.database.transaction() as session:
            await BillingRepository(session).lock(user_id)
            yield session


def deployment_of(metadata: Mapping[str, str]) -> str | None:
    """Return the deployment that an object at Stripe names, if any."""
    return metadata.get(_DEPLOYMENT)
