"""What a route asks for when a user may call it only so often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.database.connection import database_of
from rekindle_api.problems import raises
from rekindle_api.rates.errors import RateLimitedError
from rekindle_api.rates.gcra import take
from rekindle_api.rates.headers import note
from rekindle_api.settings import Policy, RateSettings

_log = logging.getLogger(__name__)
_SECONDS = 2.0
"""A count that takes longer than this is given up."""


def limited(policy: Policy) -> Any:  # noqa: ANN401 - what Depends returns has no public type
    """Return the dependency of a route that counts each of its requests against the caller's allowance.

    Use it as `@router.post(..., dependencies=[limited("sync")])`. When requests cannot be counted, they are served.
    """
    return Depends(_counting(policy))


def _counting(policy: Policy) -> Callable[[Request, Any], Awaitable[None]]:
    @raises(RateLimitedError)
    async def count(request: Request, user: CurrentUser) -> None:
        rates: RateSettings = request.app.state.rates
        try:
            # A transaction of its own: the request counts whatever becomes of it.
            async with asyncio.timeout(_SECONDS), database_of(request).transaction() as session:
                allowance = await take(session, user.id, policy, rates.of(policy))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("a request was not counted", extra={"policy": policy, "error": type(error).__name__})
            return
        note(request.scope, allowance)
        if not allowance.allowed:
            raise RateLimitedError(f"Too many requests. Try again in {allowance.retry_after} s.")

    return count
