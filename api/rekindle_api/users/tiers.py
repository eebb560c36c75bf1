"""Which tiers users have now, for those who show things to many of them at once."""

import uuid
from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.users.models import User


async def tiers_of(session: AsyncSession, user_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the tier of each of some users."""
    rows = await session.execute(select(User.id, User.tier).where(User.id.in_(user_ids)))
    return {row.id: row.tier for row in rows}
