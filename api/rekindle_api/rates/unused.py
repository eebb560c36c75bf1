"""One pass that forgets what says nothing any more: allowances that are whole again."""

from dataclasses import dataclass

from sqlalchemy import delete, func
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.database import Database
from rekindle_api.rates.models import RateLimit


@dataclass
class Forgotten:
    """How many rows were deleted."""

    allowances: int
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"forgot allowances={self.allowances} failures={self.failures}"


async def forget_unused(database: Database) -> Forgotten:
    """Delete the rows of users who could send as many requests without them."""
    async with database.transaction() as session:
        return Forgotten(await _delete_unused(session))


async def _delete_unused(session: AsyncSession) -> int:
    unused = delete(RateLimit).where(RateLimit.theoretical_arrival < func.now()).returning(RateLimit.policy)
    return len((await session.execute(unused.execution_options(synchronize_session=False))).all())
