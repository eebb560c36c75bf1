"""The issuer's public keys, fetched without blocking anybody and kept for at most ten minutes."""

import asyncio
import time

import httpx
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from rekindle_api.auth.errors import InvalidTokenError, KeysUnavailableError
from rekindle_api.settings import AuthSettings

_AFTER_FAILURE_SECONDS = 1.0


class KeySet:
    """The keys at one JWKS address. Concurrent callers share one fetch; each waits no longer than its time limit."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(timeout=settings.jwks_timeout_seconds)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> PyJWK:
        """Return the key of this id.

        Raises:
            InvalidTokenError: the issuer has no such key.
            KeysUnavailableError: the keys cannot be fetched, and none that were are still good.
        """
        age = time.monotonic() - self._fetched_at
        if age < self._settings.jwks_lifetime_seconds:
            if (known := self._keys.get(key_id)) is not None:
                return known
            if age < self._settings.jwks_cooldown_seconds:
                raise InvalidTokenError("The token was signed with an unknown key.")
        await self._fetch()
        if (known := self._keys.get(key_id)) is None:
            raise InvalidTokenError("The token was signed with an unknown key.")
        return known

    async def close(self) -> None:
        """End a fetch under way, and the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
        await self._client.aclose()

    async def _fetch(self) -> None:
        if time.monotonic() - self._failed_at < _AFTER_FAILURE_SECONDS:
            raise KeysUnavailableError("The sign-in service does not answer. Try again in a moment.")
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._download())
            self._fetching.add_done_callback(self._fetch_ended)
        try:
            # A caller who leaves must not end the fetch that others wait for.
            await asyncio.shield(self._fetching)
        except (httpx.HTTPError, PyJWTError, ValueError, TimeoutError) as error:
            raise KeysUnavailableError("The sign-in service does not answer. Try again in a moment.") from error

    def _fetch_ended(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled() and task.exception() is not None:
            self._failed_at = time.monotonic()

    async def _download(self) -> None:
        async with asyncio.timeout(self._settings.jwks_timeout_seconds):
            reply = await self._client.get(self._settings.jwks_url)
        reply.raise_for_status()
        found = reply.json()
        if not isinstance(found, dict):
            raise ValueError("the reply is no key set")  # noqa: TRY004 - the type of a value, not of an argument
        key_set = PyJWKSet.from_dict(found)
        self._keys = {key.key_id: key for key in key_set.keys if key.key_id is not None}
        self._fetched_at = time.monotonic()
