"""Queries on what is over: abandoned uploads, deleted photos and deleted attempts whose work has ended."""

import uuid
from datetime import timedelta

from sqlalchemy import ColumnElement, CursorResult, delete, exists, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import OPEN, AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.repository import A
from rekindle_api.photos.models import FORM_LIFE, Photo, PhotoStatus


class RetentionRecords:
    """What is over, within one transaction. Pages go on after the last id, so what fails stops nothing.

    Pods write nothing any more `quiet` after an attempt's end, uploads end within `uploading`.
    """

    def __init__(self, session: AsyncSession, quiet: timedelta, uploading: timedelta) -> None:
        self._session = session
        self._quiet = quiet
        self._uploading = uploading

    async def discard_abandoned(self) -> int:
        """Mark uploads that should have ended long ago as deleted, so that none becomes a photo meanwhile."""
        discarded = await self._session.execute(
            update(Photo)
            .where(
                Photo.status == PhotoStatus.PENDING,
                Photo.deleted_at.is_(None),
                Photo.created_at <= func.now() - self._uploading,
            )
            .values(deleted_at=func.now(), updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
        return discarded.rowcount if isinstance(discarded, CursorResult) else 0

    async def photos(self, after: uuid.UUID | None, limit: int) -> list[Photo]:
        """Return deleted photos for which nothing works any more, in the order of their ids."""
        statement = select(Photo).where(self._photo_is_over()).order_by(Photo.id).limit(limit)
        return list(await self._session.scalars(statement if after is None else statement.where(Photo.id > after)))

    async def forget_photo(self, photo_id: uuid.UUID) -> None:
        """Delete a photo's row with its upload session and attempts, unless something works for it again."""
        await self._session.execute(
            delete(Photo)
            .where(Photo.id == photo_id, self._photo_is_over())
            .execution_options(synchronize_session=False)
        )

    async def attempts(self, table: type[A], after: uuid.UUID | None, limit: int) -> list[A]:
        """Return deleted attempts that ended and whose result nothing reads, in the order of their ids."""
        statement = select(table).where(self._attempt_is_over(table)).order_by(table.id).limit(limit)
        return list(await self._session.scalars(statement if after is None else statement.where(table.id > after)))

    async def forget_attempt(self, table: type[A], attempt_id: uuid.UUID) -> None:
        """Delete an attempt's row, unless something reads its result again."""
        await self._session.execute(
            delete(table)
            .where(table.id == attempt_id, self._attempt_is_over(table))
            .execution_options(synchronize_session=False)
        )

    def _photo_is_over(self) -> ColumnElement[bool]:
        works = [
            exists().where(table.job_id == Photo.id, ~self._is_quiet(table))
            for table in (RestoreAttempt, AnimationAttempt)
        ]
        return Photo.deleted_at.is_not(None) & ~_may_come() & ~self._may_be_uploading() & ~or_(*works)

    def _may_be_uploading(self) -> ColumnElement[bool]:
        """Tell whether a process that does not know yet that an upload was given up may still store its files."""
        return (Photo.status == PhotoStatus.PENDING) & (Photo.deleted_at > func.now() - self._uploading)

    def _attempt_is_over(self, table: type[RestoreAttempt] | type[AnimationAttempt]) -> ColumnElement[bool]:
        return table.deleted_at.is_not(None) & self._is_quiet(table) & ~_is_read(table)

    def _is_quiet(self, table: type[RestoreAttempt] | type[AnimationAttempt]) -> ColumnElement[bool]:
        """When it was recorded counts: the time of the end itself is by another clock, and may be long past by then."""
        return table.finished_at.is_not(None) & (table.updated_at <= func.now() - self._quiet)


def _may_come() -> ColumnElement[bool]:
    """Tell whether the form of a direct upload may still bring an object."""
    return Photo.declared_bytes.is_not(None) & (Photo.created_at > func.now() - FORM_LIFE)


def _is_read(table: type[RestoreAttempt] | type[AnimationAttempt]) -> ColumnElement[bool]:
    """Tell whether something that runs reads an attempt's result; only restorations are read."""
    if table is AnimationAttempt:
        return false()
    reader = RestoreAttempt.__table__.alias("reader")
    return or_(
        exists().where(reader.c.source_restore_id == RestoreAttempt.id, reader.c.status.in_(OPEN)),
        exists().where(AnimationAttempt.restore_id == RestoreAttempt.id, AnimationAttempt.status.in_(OPEN)),
    )
