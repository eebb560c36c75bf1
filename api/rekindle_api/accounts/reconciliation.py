"""One pass that compares our accounts with Supabase's list, and repairs what no webhook said.

An account that the list lacks is asked for by its id before it is ended, and a list that cannot be true ends nobody.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rekindle_api.accounts.erasure import close_account
from rekindle_api.accounts.takeover import take_over
from rekindle_api.database import Database
from rekindle_api.settings import AccountSettings, PlanSettings
from rekindle_api.users.changes import Action, Standing, on_record
from rekindle_api.users.directory import Directory, DirectoryUnavailableError
from rekindle_api.users.repository import UserRepository
from rekindle_api.users.supabase import SupabaseUser

_log = logging.getLogger(__name__)
_BATCH = 1000
_ALWAYS_POSSIBLE = 10
"""So many accounts may be missing whatever their share: each of them is asked for."""


@dataclass
class Compared:
    """What the comparison found and did."""

    listed: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return (
            f"compared with Supabase listed={self.listed} created={self.created} updated={self.updated}"
            f" deleted={self.deleted} failures={self.failures}"
        )

    def count(self, action: Action) -> None:
        """Count what was done for one account."""
        self.created += action is Action.CREATED
        self.updated += action is Action.UPDATED
        self.deleted += action is Action.DELETED


def is_credible(*, live: int, found: int, missing: int, share: float) -> bool:
    """Tell whether a list may be true in which `found` of our `live` accounts are, and `missing` are not."""
    if live and not found:
        return False
    return missing <= max(_ALWAYS_POSSIBLE, share * live)


class Reconciliation:
    """The pass. It may be killed, repeated, and run twice at once."""

    def __init__(
        self, database: Database, directory: Directory, plans: PlanSettings, settings: AccountSettings
    ) -> None:
        self._database = database
        self._directory = directory
        self._plans = plans
        self._share = settings.supabase_missing_share

    async def run(self) -> Compared:
        """Compare all accounts; a failure of Supabase is logged and counted.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        compared, listed = Compared(), set[uuid.UUID]()
        news: list[SupabaseUser] = []
        try:
            ours = await self._ours()
            async for page in self._directory.pages():
                listed.update(record.id for record in page)
                news += await self._new_of(page)
            compared.listed = len(listed)
            missing = [supabase_user_id for supabase_user_id in ours if supabase_user_id not in listed]
            if self._believes(len(ours), len(missing)):
                await self._repair(news, missing, compared)
            else:
                compared.failures += 1
        except DirectoryUnavailableError as error:
            compared.failures += 1
            _log.warning("accounts are not compared with Supabase", extra={"error": error.cause})
        return compared

    def _believes(self, live: int, missing: int) -> bool:
        """Tell whether the list may be true. Accounts of another project's list are not even made."""
        credible = is_credible(live=live, found=live - missing, missing=missing, share=self._share)
        if not credible:
            _log.error("Supabase's list lacks too many accounts to be true", extra={"missing": missing, "of": live})
        return credible

    async def _repair(self, news: Sequence[SupabaseUser], missing: Sequence[uuid.UUID], compared: Compared) -> None:
        for record in news:
            compared.count((await take_over(self._database, record, self._plans)).action)
        for supabase_user_id in missing:
            found = await self._directory.find(supabase_user_id)
            if found is None:
                applied = await close_account(self._database, supabase_user_id)
            else:
                applied = await take_over(self._database, found, self._plans)
            compared.count(applied.action)

    async def _new_of(self, page: Sequence[SupabaseUser]) -> list[SupabaseUser]:
        """Return the records of a page that say something new: of most accounts nothing is."""
        async with self._database.transaction() as session:
            known = await UserRepository(session).of_supabase_ids([record.id for record in page])
        now = datetime.now(UTC)
        return [record for record in page if on_record(Standing.of(known.get(record.id)), record, now).values]

    async def _ours(self) -> list[uuid.UUID]:
        """Return the Supabase ids of all our accounts that are not deleted."""
        found: list[uuid.UUID] = []
        while True:
            async with self._database.transaction() as session:
                page = await UserRepository(session).live_supabase_ids(found[-1] if found else None, _BATCH)
            found += page
            if len(page) < _BATCH:
                return found
