"""How requests to Stripe travel: httpx under the stripe library, which adds keys, retries and errors."""

import asyncio
from collections.abc import Awaitable, Mapping

import httpx
import stripe


class Transport(stripe.HTTPClient):
    """A pool of connections. A request that gets no answer in time is one that may be sent again."""

    name = "httpx"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        self._pool = httpx.AsyncClient(timeout=timeout_seconds)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request; return body, status and headers of the answer.

        Raises:
            stripe.APIConnectionError: there was none.
        """
        try:
            answer = await self._pool.request(method.upper(), url, headers=headers, content=post_data)
        except httpx.HTTPError as error:
            message = f"{type(error).__name__} on the way to Stripe"
            raise stripe.APIConnectionError(message, should_retry=True) from error  # type: ignore[no-untyped-call] # stripe types none of it
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait between two tries."""
        return asyncio.sleep(secs)

    async def close_async(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
