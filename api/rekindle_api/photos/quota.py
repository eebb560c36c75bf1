"""How much storage a user's photos and results take."""

import uuid

from sqlalchemy import ColumnElement, Select, Uuid, bindparam, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.photos.models import Photo, PhotoStatus

_USER = bindparam("user_id", type_=Uuid())


async def used_bytes(session: AsyncSession, user_id: uuid.UUID) -> int:
    """Return the size of a user's photos and of what was made of them, without what is deleted."""
    return await session.scalar(_USED, {"user_id": user_id}) or 0


def _originals() -> Select[int | None]:
    return select(func.sum(Photo.size_bytes).label("bytes")).where(*_live_photo())


def _outputs(table: type[RestoreAttempt] | type[AnimationAttempt]) -> Select[int]:
    # The photo counts too: with it, all its attempts are deleted.
    return (
        select(func.sum(table.stored_bytes).label("bytes"))
        .join(Photo, Photo.id == table.job_id)
        .where(table.owner_id == _USER, table.deleted_at.is_(None), *_live_photo())
    )


def _live_photo() -> tuple[ColumnElement[bool], ...]:
    # In words of the partial index, which holds every column that is read.
    return (Photo.owner_id == _USER, Photo.status == PhotoStatus.READY, Photo.deleted_at.is_(None))


_parts = union_all(_originals(), _outputs(RestoreAttempt), _outputs(AnimationAttempt)).subquery()
_USED = select(func.coalesce(func.sum(_parts.c.bytes), 0))
