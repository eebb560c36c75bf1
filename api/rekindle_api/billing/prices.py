"""What things cost, for display: Stripe's prices, kept for a while."""

import asyncio
import time
from collections.abc import Mapping

from rekindle_api.billing.errors import StripeRefusedError, StripeUnavailableError
from rekindle_api.billing.gateway import StripeGateway
from rekindle_api.billing.remote import RemotePrice
from rekindle_api.settings import StripeSettings

_SECONDS = 600.0
_PAUSE_SECONDS = 5.0
"""How long a failure is the answer, so that a slow Stripe is not asked by everybody who looks."""


class PriceList:
    """The prices on sale. They change rarely, and old ones are better than none."""

    def __init__(self, stripe: StripeGateway, settings: StripeSettings) -> None:
        self._stripe = stripe
        self._ids = list(settings.sold.values())
        self._prices: dict[str, RemotePrice] = {}
        self._failure: StripeUnavailableError | StripeRefusedError | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def prices(self) -> Mapping[str, RemotePrice]:
        """Return the prices by their ids.

        Raises:
            StripeUnavailableError, StripeRefusedError: Stripe does not name them, and never did.
        """
        async with self._lock:
            if time.monotonic() >= self._until:
                await self._ask()
            if self._failure is not None and not self._prices:
                raise self._failure
            return self._prices

    async def _ask(self) -> None:
        try:
            found = await asyncio.gather(*(self._stripe.price(each) for each in self._ids))
        except (StripeUnavailableError, StripeRefusedError) as error:
            self._failure = error
        else:
            self._prices, self._failure = {price.id: price for price in found}, None
        self._until = time.monotonic() + (_SECONDS if self._prices else _PAUSE_SECONDS)
