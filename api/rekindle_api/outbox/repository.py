"""Every query on the outbox: what attempts ask for, and how the bridge takes and finishes it."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.outbox.models import AttemptKind, Desired, OutboxEntry


@dataclass(frozen=True)
class Backlog:
    """How many orders wait, how many were set aside, and the age of the oldest that waits."""

    waiting: int
    parked: int
    oldest_seconds: float


class OutboxRepository:
    """The outbox within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ask_for_creation(self, kind: AttemptKind, attempt_id: uuid.UUID) -> None:
        """Ask for the resource of a new attempt."""
        await self._session.execute(
            insert(OutboxEntry)
            .values(attempt_id=attempt_id, kind=kind, desired=Desired.CREATE)
            .on_conflict_do_nothing(index_elements=[OutboxEntry.attempt_id])
        )

    async def ask_for_cancellation(self, kind: AttemptKind, attempt_id: uuid.UUID) -> bool:
        """Ask for the end of an attempt's resource.

        Returns:
            Whether nobody ever began to create the resource: the caller settles the row, and nothing is left to do.
        """
        untouched = await self._session.execute(
            delete(OutboxEntry).where(
                OutboxEntry.attempt_id == attempt_id,
                OutboxEntry.desired == Desired.CREATE,
                OutboxEntry.attempts == 0,
            )
        )
        if _changed(untouched):
            return True
        order = insert(OutboxEntry).values(attempt_id=attempt_id, kind=kind, desired=Desired.CANCEL)
        await self._session.execute(
            order.on_conflict_do_update(
                index_elements=[OutboxEntry.attempt_id],
                set_={
                    "desired": Desired.CANCEL,
                    "version": OutboxEntry.version + 1,
                    "available_at": func.now(),
                    "attempts": 0,
                    "parked_at": None,
                    "last_error": None,
                    "updated_at": func.now(),
                },
                where=OutboxEntry.desired == Desired.CREATE,
            )
        )
        return False

    async def claim(self, limit: int, lease: timedelta) -> list[OutboxEntry]:
        """Take up to `limit` due entries for the time of `lease`; other processes take others."""
        due = (
            select(OutboxEntry.attempt_id)
            .where(
                OutboxEntry.available_at <= func.now(),
                OutboxEntry.parked_at.is_(None),
                or_(OutboxEntry.claimed_until.is_(None), OutboxEntry.claimed_until <= func.now()),
            )
            .order_by(OutboxEntry.available_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = await self._session.scalars(
            update(OutboxEntry)
            .where(OutboxEntry.attempt_id.in_(due.scalar_subquery()))
            .values(attempts=OutboxEntry.attempts + 1, claimed_until=func.now() + lease, updated_at=func.now())
            .returning(OutboxEntry)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return list(claimed)

    async def finish(self, entry: OutboxEntry) -> bool:
        """Delete an entry that was carried out, or free it when something else was asked for meanwhile.

        Returns:
            Whether the entry is gone.
        """
        gone = await self._session.execute(
            delete(OutboxEntry).where(OutboxEntry.attempt_id == entry.attempt_id, OutboxEntry.version == entry.version)
        )
        if _changed(gone):
            return True
        await self._session.execute(
            update(OutboxEntry)
            .where(OutboxEntry.attempt_id == entry.attempt_id)
            .values(claimed_until=None, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
        return False

    async def postpone(self, entry: OutboxEntry, delay: timedelta, error: str, tries: int | None = None) -> None:
        """Try an entry again after `delay`; a newer wish for the same attempt keeps its own time.

        `tries` sets the count of tries: 1 or more, since 0 says that nobody ever began.
        """
        counted = {} if tries is None else {"attempts": tries}
        await self._release(entry, {"available_at": func.now() + delay, "last_error": error, **counted})

    async def park(self, entry: OutboxEntry, error: str) -> None:
        """Set an entry aside that failed too often."""
        await self._release(entry, {"parked_at": func.now(), "last_error": error})

    async def resume_parked(self) -> int:
        """Make every entry that was set aside due again; return how many there were."""
        resumed = await self._session.execute(
            update(OutboxEntry)
            .where(OutboxEntry.parked_at.is_not(None))
            .values(parked_at=None, available_at=func.now(), updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
        return resumed.rowcount if isinstance(resumed, CursorResult) else 0

    async def resume(self, attempt_id: uuid.UUID) -> bool:
        """Make the entry of an attempt due now, set aside or not; return whether there is one."""
        resumed = await self._session.execute(
            update(OutboxEntry)
            .where(OutboxEntry.attempt_id == attempt_id)
            .values(parked_at=None, available_at=func.now(), updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
        return _changed(resumed)

    async def backlog(self) -> Backlog:
        """Return how the outbox stands."""
        waits = OutboxEntry.parked_at.is_(None)
        age = func.extract("epoch", func.now() - func.min(OutboxEntry.created_at).filter(waits))
        row = (
            await self._session.execute(
                select(
                    func.count().filter(waits),
                    func.count().filter(~waits),
                    func.coalesce(age, 0),
                )
            )
        ).one()
        return Backlog(waiting=row[0], parked=row[1], oldest_seconds=float(row[2]))

    async def _release(self, entry: OutboxEntry, values: dict[str, object]) -> None:
        """Give up the claim; set `values` unless something else was asked for meanwhile."""
        for only_same_version, changed in ((True, values), (False, {})):
            statement = update(OutboxEntry).where(OutboxEntry.attempt_id == entry.attempt_id)
            if only_same_version:
                statement = statement.where(OutboxEntry.version == entry.version)
            done = await self._session.execute(
                statement.values(claimed_until=None, updated_at=func.now(), **changed).execution_options(
                    synchronize_session=False
                )
            )
            if _changed(done):
                return


def _changed(result: object) -> bool:
    return isinstance(result, CursorResult) and result.rowcount > 0
