"""The other query on rate_limits: forgetting what says nothing any more."""

from typing import Any

from sqlalchemy import CursorResult, delete, func
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.rates.models import RateLimit


async def forget_unused(session: AsyncSession) -> int:
    """Delete the rows of allowances that are whole again; return how many there were."""
    done: CursorResult[Any] = await session.execute(
        delete(RateLimit).where(RateLimit.theoretical_arrival < func.now()).execution_options(synchronize_session=False)
    )
    return done.rowcount
