"""Supabase's list of accounts, through its admin API."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

import httpx
from supabase_auth import AsyncGoTrueAdminAPI
from supabase_auth.errors import AuthApiError, AuthError
from supabase_auth.types import User as AdminUser

from rekindle_api.problems import Problem
from rekindle_api.settings import SupabaseSettings
from rekindle_api.users.supabase import SupabaseUser

# A reply that is no account at all is a ValueError.
_TROUBLES = (AuthError, httpx.HTTPError, ValueError, TimeoutError)


class DirectoryUnavailableError(Problem):
    """Supabase's admin API does not answer as it should."""

    status = 503
    code = "accounts_unavailable"
    title = "The account service is unavailable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class Directory(Protocol):
    """What is asked of Supabase's admin API. Each call raises DirectoryUnavailableError when there is no answer."""

    async def find(self, user_id: uuid.UUID) -> SupabaseUser | None:
        """Return one account; None when there is none."""

    def pages(self) -> AsyncIterator[list[SupabaseUser]]:
        """Yield all accounts, some at a time. Accounts that are made meanwhile may be left out, or come twice."""

    async def delete(self, user_id: uuid.UUID) -> None:
        """Delete one account; one that is gone already is no error."""

    async def close(self) -> None:
        """End the connections."""


class SupabaseDirectory:
    """The directory of one Supabase project."""

    def __init__(self, issuer: str, service_key: str, settings: SupabaseSettings) -> None:
        self._seconds = settings.supabase_timeout_seconds
        self._http = httpx.AsyncClient(timeout=self._seconds)
        self._page_size = settings.supabase_page_size
        self._api = AsyncGoTrueAdminAPI(
            url=issuer,
            headers={"apikey": service_key, "Authorization": f"Bearer {service_key}"},
            http_client=self._http,
        )

    async def find(self, user_id: uuid.UUID) -> SupabaseUser | None:
        """Return one account; None when there is none."""
        try:
            async with asyncio.timeout(self._seconds):
                return _record((await self._api.get_user_by_id(str(user_id))).user)
        except _TROUBLES as error:
            if _is_gone(error):
                return None
            raise _unavailable(error) from error

    async def pages(self) -> AsyncIterator[list[SupabaseUser]]:
        """Yield all accounts, some at a time, until a page is empty: a server may give less than it is asked for."""
        number = 1
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    page = [_record(user) for user in await self._api.list_users(number, self._page_size)]
            except _TROUBLES as error:
                raise _unavailable(error) from error
            if not page:
                return
            yield page
            number += 1

    async def delete(self, user_id: uuid.UUID) -> None:
        """Delete one account; one that is gone already is no error."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._api.delete_user(str(user_id))
        except _TROUBLES as error:
            if not _is_gone(error):
                raise _unavailable(error) from error

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()


def directory_from(settings: SupabaseSettings, issuer: str) -> SupabaseDirectory | None:
    """Return the directory of the project whose tokens `issuer` signs; None when there is no key for it."""
    if settings.supabase_service_key is None:
        return None
    return SupabaseDirectory(issuer, settings.supabase_service_key.get_secret_value(), settings)


def _record(user: AdminUser) -> SupabaseUser:
    return SupabaseUser.read(user.model_dump())


def _is_gone(error: Exception) -> bool:
    return isinstance(error, AuthApiError) and error.code == "user_not_found"


def _unavailable(error: Exception) -> DirectoryUnavailableError:
    status = getattr(error, "status", "")
    return DirectoryUnavailableError(
        "The account service does not answer. Try again in a moment.", f"{type(error).__name__} {status}".strip()
    )
