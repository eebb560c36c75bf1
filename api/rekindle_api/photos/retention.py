"""How long photos and results are kept: queries on the times that tiers set, and that an upgrade lifts."""

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import OPEN, AnimationAttempt, RestoreAttempt
from rekindle_api.photos.models import Photo, PhotoStatus
from rekindle_api.users.models import User

_ATTEMPTS = (RestoreAttempt, AnimationAttempt)
Kept = Photo | RestoreAttempt | AnimationAttempt
_TABLES: tuple[type[Kept], ...] = (Photo, RestoreAttempt, AnimationAttempt)


async def keep_everything(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Keep what a user has for good: the tier does not limit it any more.

    Never waits for a lock, so it fits anywhere in a transaction. Rows that others change at this moment are passed
    over; the sweep looks at the owner's tier before it deletes anything, and keeps them too.
    """
    await _lift(session, Photo, Photo.owner_id == user_id, Photo.expires_at.is_not(None))
    for table in _ATTEMPTS:
        limited = or_(table.expires_at.is_not(None), table.retention_days.is_not(None))
        await _lift(session, table, table.owner_id == user_id, limited)


class RetentionRecords:
    """What is past its time, within one transaction. `tiers` are those that keep things for a time only.

    Rows that another transaction holds are passed over: they are in use, and found again by the next pass.
    """

    def __init__(self, session: AsyncSession, tiers: Collection[str]) -> None:
        self._session = session
        self._tiers = list(tiers)

    async def keep_due(self) -> None:
        """Keep for good what is past a time that the owner's tier does not set any more."""
        for table in _TABLES:
            await _lift(self._session, table, *_due(table), ~self._limited(table))

    async def hide_photos(self, limit: int) -> list[uuid.UUID]:
        """Mark up to `limit` photos as deleted that nothing was made of lately, and return their ids."""
        due = [*_due(Photo), self._limited(Photo), ~_in_use()]
        held = await self._held(Photo, due, limit)
        # Asked again: an attempt may have been begun, or a tier paid for, between the look and the lock.
        return await self._hide(Photo, [Photo.id.in_(held), self._limited(Photo), ~_in_use()]) if held else []

    async def hide_attempts(self, table: type[Kept], limit: int) -> list[uuid.UUID]:
        """Mark up to `limit` ended attempts as deleted, and return their ids."""
        held = await self._held(table, [*_due(table), self._limited(table)], limit)
        return await self._hide(table, [table.id.in_(held), self._limited(table)]) if held else []

    def _limited(self, table: type[Kept]) -> ColumnElement[bool]:
        return exists().where(User.id == table.owner_id, User.tier.in_(self._tiers))

    async def _held(self, table: type[Kept], wanted: Sequence[ColumnElement[bool]], limit: int) -> list[uuid.UUID]:
        rows = select(table.id).where(*wanted).order_by(table.expires_at).limit(limit)
        return list(await self._session.scalars(rows.with_for_update(skip_locked=True)))

    async def _hide(self, table: type[Kept], wanted: Sequence[ColumnElement[bool]]) -> list[uuid.UUID]:
        changed: dict[str, object] = {"deleted_at": func.now(), "updated_at": func.now()}
        if table is not Photo:
            changed["version"] = table.__table__.c.version + 1
        hidden = await self._session.scalars(
            update(table)
            .where(*wanted)
            .values(changed)
            .returning(table.id)
            .execution_options(synchronize_session=False)
        )
        return list(hidden)


class AnnouncedRecords:
    """Photos that came by a form, as long as its holder could send another file, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ready(self, age: timedelta, after: uuid.UUID | None, limit: int) -> list[Photo]:
        """Return photos that count and whose form was made more than `age` ago, in the order of their ids."""
        over = select(Photo).where(
            Photo.declared_bytes.is_not(None),
            Photo.created_at <= func.now() - age,
            Photo.status == PhotoStatus.READY,
            Photo.deleted_at.is_(None),
        )
        page = (over if after is None else over.where(Photo.id > after)).order_by(Photo.id).limit(limit)
        return list(await self._session.scalars(page))

    async def close(self, photo_id: uuid.UUID) -> None:
        """Note that nothing can come for a photo any more, and nothing is left of what came."""
        await self._session.execute(
            update(Photo)
            .where(Photo.id == photo_id)
            .values(declared_bytes=None)
            .execution_options(synchronize_session=False)
        )


def _due(table: type[Kept]) -> tuple[ColumnElement[bool], ...]:
    ended = Photo.status == PhotoStatus.READY if table is Photo else table.__table__.c.status.not_in(OPEN)
    return table.expires_at <= func.now(), table.deleted_at.is_(None), ended


def _in_use() -> ColumnElement[bool]:
    """Tell whether an attempt on a photo runs, or is kept for longer than the photo."""
    return or_(
        *(
            exists().where(
                table.job_id == Photo.id,
                table.deleted_at.is_(None),
                or_(table.expires_at.is_(None), table.expires_at > func.now()),
            )
            for table in _ATTEMPTS
        )
    )


async def _lift(session: AsyncSession, table: type[Kept], *wanted: ColumnElement[bool]) -> None:
    held = select(table.id).where(*wanted).with_for_update(skip_locked=True, key_share=True)
    lifted = {"expires_at": None} if table is Photo else {"expires_at": None, "retention_days": None}
    await session.execute(
        update(table)
        .where(table.id.in_(held.scalar_subquery()))
        .values(lifted)
        .execution_options(synchronize_session=False)
    )
