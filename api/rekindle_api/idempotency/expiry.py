"""One pass that deletes the answers which are not given any more."""

from dataclasses import dataclass

from rekindle_api.database import Database
from rekindle_api.idempotency.repository import IdempotencyRepository


@dataclass
class Deleted:
    """How many answers were deleted."""

    answers: int
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"deleted idempotency_keys={self.answers} failures={self.failures}"


async def delete_expired(database: Database) -> Deleted:
    """Delete the answers whose time is over."""
    async with database.transaction() as session:
        return Deleted(await IdempotencyRepository(session).delete_expired())
