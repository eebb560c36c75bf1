"""One pass that ends accounts whose grace period is over, and sees to it that nothing is left of ended ones.

The photos of an ended account are hidden; the sweep deletes their objects, then their rows. When none is left, and
neither Supabase nor Stripe knows the account, it is marked as purged. A pass may be killed, and run twice at once.
"""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.accounts.erasure import close_after_grace
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import Database
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.settings import AccountSettings
from rekindle_api.users.directory import Directory, DirectoryUnavailableError
from rekindle_api.users.models import User
from rekindle_api.users.repository import UserRepository

_log = logging.getLogger(__name__)
_BATCH = 100
_UPLOADS_END = timedelta(hours=1)
"""An upload that began before its account ended has ended by then."""

EndBilling = Callable[[uuid.UUID], Awaitable[bool]]
"""Ends what bills a user; answers whether nothing does any more."""


@dataclass
class Purged:
    """How many accounts were ended, and of how many nothing is left. `failures` counts those left for the next pass."""

    ended: int = 0
    purged: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"accounts ended={self.ended} purged={self.purged} failures={self.failures}"


class Purge:
    """The pass. Without a directory or without billing there is nobody to be told."""

    def __init__(
        self,
        database: Database,
        directory: Directory | None,
        end_billing: EndBilling | None,
        settings: AccountSettings,
    ) -> None:
        self._database = database
        self._directory = directory
        self._end_billing = end_billing
        self._grace = settings.grace
        self._purged = Purged()

    async def run(self) -> Purged:
        """End what is due, and clear up; what cannot be done now is logged and counted.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer, so nothing is known.
        """
        purged = self._purged = Purged()
        async with self._database.transaction() as session:
            due = await UserRepository(session).grace_over(datetime.now(UTC) - self._grace)
        for user_id in due:
            try:
                purged.ended += await close_after_grace(self._database, user_id, self._grace)
            except SQLAlchemyError as error:
                self._failed("end", user_id, error)
        async for user in self._unpurged():
            try:
                purged.purged += await self._purge(user)
            except (SQLAlchemyError, DirectoryUnavailableError) as error:
                self._failed("purge", user.id, error)
        return purged

    async def _purge(self, user: User) -> bool:
        if self._end_billing is not None and not await self._end_billing(user.id):
            self._purged.failures += 1
            return False
        if self._directory is not None:
            await self._directory.delete(user.supabase_user_id)
            reached(Place.DIRECTORY_CLEARED)
        async with self._database.transaction() as session:
            photos = PhotoRepository(session)
            # Again: an upload that was under way when the account ended is hidden by this.
            await photos.hide_all(user.id)
            now = datetime.now(UTC)
            if user.deleted_at is None or user.deleted_at > now - _UPLOADS_END or await photos.any_left(user.id):
                return False
            await UserRepository(session).change(user.id, {"purged_at": now})
            await AuditRepository(session).record("account.purged", None, user.id)
            at_commit(session, Commit.ACCOUNT_PURGED)
        return True

    async def _unpurged(self) -> AsyncIterator[User]:
        last: uuid.UUID | None = None
        while True:
            async with self._database.transaction() as session:
                page = await UserRepository(session).unpurged(last, _BATCH)
            for user in page:
                yield user
                last = user.id
            if len(page) < _BATCH:
                return

    def _failed(self, what: str, user_id: uuid.UUID, error: Exception) -> None:
        self._purged.failures += 1
        _log.warning("an account is not cleared up", extra={"what": what, "user": user_id, "error": str(error)})
