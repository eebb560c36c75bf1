"""The other query on rate_limits: forgetting what says nothing any more."""

from sqlalchemy import delete, func
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.rates.models import RateLimit


async def forget_unused(session: AsyncSession) -> None:
    """Delete the rows of allowances that are whole again."""
    await session.execute(
        delete(RateLimit).where(RateLimit.theoretical_arrival < func.now()).execution_options(synchronize_session=False)
    )
