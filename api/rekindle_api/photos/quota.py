"""How much storage a user's photos and results take, and whether more of them fit into the tier."""

import uuid

from sqlalchemy import ColumnElement, Select, Uuid, bindparam, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.photos.errors import QuotaExceededError
from rekindle_api.photos.models import Photo, PhotoStatus
from rekindle_api.settings import Plan, PlanSettings
from rekindle_api.users.models import User

_USER = bindparam("user_id", type_=Uuid())


async def used_bytes(session: AsyncSession, user_id: uuid.UUID) -> int:
    """Return the size of a user's photos and of what was made of them, without what is deleted."""
    # PostgreSQL sums whole numbers to a numeric.
    return int(await session.scalar(USED, {"user_id": user_id}) or 0)


async def refuse_beyond(session: AsyncSession, plan: Plan, user_id: uuid.UUID, arriving: int) -> None:
    """Do nothing when `arriving` bytes more fit into a user's plan. More may come at the same moment.

    Raises:
        QuotaExceededError: they do not.
    """
    used = await used_bytes(session, user_id)
    if used + arriving > plan.storage_bytes:
        raise QuotaExceededError(used, plan.storage_bytes, arriving)


async def take_room(session: AsyncSession, plans: PlanSettings, user_id: uuid.UUID, arriving: int) -> Plan:
    """Make sure of room for `arriving` bytes until this transaction ends; return the user's plan as it is now.

    Locks the user's row: photos that become ready at the same time take turns.

    Raises:
        QuotaExceededError: there is none.
    """
    tier = await session.scalar(select(User.tier).where(User.id == user_id).with_for_update(key_share=True))
    plan = plans.plan(tier or "")
    await refuse_beyond(session, plan, user_id, arriving)
    return plan


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
USED = select(func.coalesce(func.sum(_parts.c.bytes), 0))
