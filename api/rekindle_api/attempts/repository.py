"""Every query on attempts. Those for users take the owner; those for the bridge are named for it."""

import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Generic, TypeVar

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from rekindle_api.attempts.models import OPEN, AnimationAttempt, AttemptStatus, RestoreAttempt

A = TypeVar("A", RestoreAttempt, AnimationAttempt)

_SHOWN = (
    *("id", "job_id", "created_at", "status", "bucket", "result_key", "preview_key", "thumbnail_key"),
    *("watermarked_result_key", "watermarked_preview_key", "watermarked_thumbnail_key"),
)


class AttemptRepository(Generic[A]):
    """One of the two tables of attempts, within one transaction."""

    def __init__(self, session: AsyncSession, table: type[A]) -> None:
        self._session = session
        self._table: type[A] = table

    async def of_jobs(self, owner_id: uuid.UUID, job_ids: Sequence[uuid.UUID]) -> list[A]:
        """Return the attempts of some of the owner's upload sessions, oldest first, without deleted ones."""
        table = self._table
        rows = await self._session.scalars(
            select(table)
            .where(table.owner_id == owner_id, table.job_id.in_(job_ids), table.deleted_at.is_(None))
            .order_by(table.created_at, table.id)
        )
        return list(rows)

    async def newest_completed(self, owner_id: uuid.UUID, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, A]:
        """Return the newest completed attempt of each of the owner's upload sessions, with what is shown of it only."""
        rows = await self._session.scalars(
            _completed_as_shown(self._table), {"owner_id": owner_id, "job_ids": list(job_ids)}
        )
        return {row.job_id: row for row in rows}

    async def get(self, owner_id: uuid.UUID, attempt_id: uuid.UUID) -> A | None:
        """Return one of the owner's attempts, deleted or not."""
        table = self._table
        rows = await self._session.scalars(select(table).where(table.id == attempt_id, table.owner_id == owner_id))
        return rows.one_or_none()

    async def hold(self, owner_id: uuid.UUID, attempt_id: uuid.UUID) -> A | None:
        """Return one of the owner's attempts, which nobody can change before this transaction ends."""
        table = self._table
        wanted = select(table).where(table.id == attempt_id, table.owner_id == owner_id)
        return (await self._session.scalars(wanted.with_for_update(read=True))).one_or_none()

    async def insert_unless_running(self, values: Mapping[str, object]) -> A | None:
        """Insert an attempt; None when an equal request runs already."""
        rows = await self._session.scalars(
            insert(self._table).values(**values).on_conflict_do_nothing().returning(self._table)
        )
        return rows.one_or_none()

    async def running_request(self, owner_id: uuid.UUID, job_id: uuid.UUID, digest: str) -> A | None:
        """Return the running attempt with this request, if there is one."""
        table = self._table
        rows = await self._session.scalars(
            select(table).where(
                table.owner_id == owner_id,
                table.job_id == job_id,
                table.request_digest == digest,
                table.status.in_(OPEN),
                table.cancel_requested_at.is_(None),
                table.deleted_at.is_(None),
            )
        )
        return rows.one_or_none()

    async def open_ids(self, job_id: uuid.UUID) -> list[uuid.UUID]:
        """Return the ids of the attempts of an upload session that still run, deleted ones included."""
        table = self._table
        return list(await self._session.scalars(select(table.id).where(table.job_id == job_id, table.status.in_(OPEN))))

    async def open_of_owner(self, owner_id: uuid.UUID) -> list[uuid.UUID]:
        """Return the ids of all attempts of a user that still run."""
        table = self._table
        wanted = select(table.id).where(table.owner_id == owner_id, table.status.in_(OPEN))
        return list(await self._session.scalars(wanted))

    async def for_streams(self, job_ids: Sequence[uuid.UUID]) -> list[A]:
        """Return the attempts of upload sessions whose owners were checked, oldest first, without deleted ones."""
        table = self._table
        rows = await self._session.scalars(
            select(table)
            .where(table.job_id.in_(job_ids), table.deleted_at.is_(None))
            .order_by(table.created_at, table.id)
        )
        return list(rows)

    async def for_bridge(self, attempt_id: uuid.UUID) -> A | None:
        """Return an attempt by its id alone, as it is in the database now."""
        return await self._session.get(self._table, attempt_id, populate_existing=True)

    async def change(self, attempt_id: uuid.UUID, version: int, values: Mapping[str, object]) -> A | None:
        """Set columns of an open attempt whose version is still `version`; None when it has moved on."""
        table = self._table
        rows = await self._session.scalars(
            update(table)
            .where(table.id == attempt_id, table.version == version, table.status.in_(OPEN))
            .values(version=version + 1, updated_at=func.now(), **values)
            .returning(table)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return rows.one_or_none()

    async def hide(self, attempt_id: uuid.UUID) -> None:
        """Mark an attempt as deleted by its user."""
        table = self._table
        await self._session.execute(
            update(table)
            .where(table.id == attempt_id, table.deleted_at.is_(None))
            .values(deleted_at=func.now(), version=table.version + 1, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )


@cache
def _completed_as_shown(table: type[A]) -> Select[A]:
    """Return the statement for completed attempts, oldest first: built once, for every gallery."""
    return (
        select(table)
        .where(
            table.owner_id == bindparam("owner_id"),
            table.job_id.in_(bindparam("job_ids", expanding=True)),
            table.status == AttemptStatus.COMPLETED,
            table.deleted_at.is_(None),
        )
        .order_by(table.created_at, table.id)
        .options(load_only(*(getattr(table, name) for name in _SHOWN), raiseload=True))
    )


class WaitingAnimations:
    """The animations that wait for one restoration's result, within the transaction that ends the restoration."""

    def __init__(self, session: AsyncSession, restore_id: uuid.UUID) -> None:
        self._session = session
        self._waiting = (
            AnimationAttempt.restore_id == restore_id,
            AnimationAttempt.source_key.is_(None),
            AnimationAttempt.status.in_(OPEN),
        )

    async def ids(self) -> list[uuid.UUID]:
        """Return their ids."""
        return list(await self._session.scalars(select(AnimationAttempt.id).where(*self._waiting)))

    async def set_source(self, key: str) -> None:
        """Give them the result: a resource that is made from now on needs no RestoreJob."""
        await self._session.execute(
            update(AnimationAttempt)
            .where(*self._waiting)
            .values(source_key=key)
            .execution_options(synchronize_session=False)
        )
