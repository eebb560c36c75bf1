"""One pass that writes expired credits off, each user in a transaction of their own."""

import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.credits.repository import users_with_expired_credits
from rekindle_api.credits.service import expire
from rekindle_api.database import Database

_log = logging.getLogger(__name__)
_BATCH = 500


@dataclass
class Expired:
    """How many credits of how many users were written off."""

    users: int = 0
    credits: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"expired credits={self.credits} users={self.users} failures={self.failures}"


async def expire_credits(database: Database) -> Expired:
    """Write off what is unreserved in expired lots. It may be killed, repeated, and run twice at once."""
    done = Expired()
    async for user_id in _users(database):
        try:
            async with database.transaction() as session:
                done.credits += await expire(session, user_id)
            done.users += 1
        except SQLAlchemyError as error:
            done.failures += 1
            _log.warning("credits not expired", extra={"user": user_id, "error": type(error).__name__})
    return done


async def _users(database: Database) -> AsyncIterator[uuid.UUID]:
    last: uuid.UUID | None = None
    while True:
        async with database.transaction() as session:
            page = await users_with_expired_credits(session, last, _BATCH)
        for user_id in page:
            yield user_id
            last = user_id
        if len(page) < _BATCH:
            return
