"""How long photos and results are kept: a tier's rule, which an upgrade lifts."""

import uuid

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.photos.models import Photo


async def keep_everything(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Keep what a user has for good: the tier does not limit it any more.

    Never waits for a lock, so it fits anywhere in a transaction. Rows that others change at this moment are passed
    over; the sweep looks at the owner's tier before it deletes anything, and keeps them too.
    """
    held = select(Photo.id).where(Photo.owner_id == user_id, Photo.expires_at.is_not(None))
    await session.execute(
        update(Photo)
        .where(Photo.id.in_(held.with_for_update(skip_locked=True, key_share=True).scalar_subquery()))
        .values(expires_at=None)
        .execution_options(synchronize_session=False)
    )
    for table in (RestoreAttempt, AnimationAttempt):
        limited = or_(table.expires_at.is_not(None), table.retention_days.is_not(None))
        held = select(table.id).where(table.owner_id == user_id, limited)
        await session.execute(
            update(table)
            .where(table.id.in_(held.with_for_update(skip_locked=True, key_share=True).scalar_subquery()))
            .values(expires_at=None, retention_days=None)
            .execution_options(synchronize_session=False)
        )
