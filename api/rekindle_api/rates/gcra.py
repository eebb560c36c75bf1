"""Takes one request off a user's allowance, in one statement, so that every replica counts together.

References:
    The generic cell rate algorithm, ITU-T I.371, as a virtual schedule.
"""

import math
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.settings import Policy, Rate

# The row is locked before it is read, so that a refused request, which writes nothing, is told the right wait.
_TAKE = text(
    """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
    standing AS MATERIALIZED (
        SELECT theoretical_arrival FROM rate_limits WHERE user_id = :user_id AND policy = :policy FOR UPDATE
    ),
    taken AS (
        INSERT INTO rate_limits AS row (user_id, policy, theoretical_arrival)
        SELECT :user_id, :policy, clock.now + CAST(:step AS interval) FROM clock LEFT JOIN standing ON true
        ON CONFLICT (user_id, policy) DO UPDATE
            SET theoretical_arrival = greatest(
                row.theoretical_arrival + CAST(:step AS interval), EXCLUDED.theoretical_arrival
            )
            WHERE row.theoretical_arrival + CAST(:step AS interval)
                <= EXCLUDED.theoretical_arrival - CAST(:step AS interval) + CAST(:window AS interval)
        RETURNING row.theoretical_arrival
    )
    SELECT taken.theoretical_arrival IS NOT NULL,
        coalesce(taken.theoretical_arrival, standing.theoretical_arrival, clock.now + CAST(:window AS interval))
            - clock.now
    FROM clock LEFT JOIN taken ON true LEFT JOIN standing ON true
    """
)


@dataclass(frozen=True)
class Allowance:
    """What became of one request, and what the user has left."""

    policy: Policy
    rate: Rate
    allowed: bool
    ahead: timedelta
    """How long it takes until everything that is used up has come back."""

    @property
    def remaining(self) -> int:
        """How many requests would be let through at once now."""
        return max(0, (self.rate.window - self.ahead) // self.rate.step)

    @property
    def full_after(self) -> int:
        """Seconds until everything that is used up has come back."""
        return max(0, math.ceil(self.ahead.total_seconds()))

    @property
    def retry_after(self) -> int:
        """Seconds until one more request is let through."""
        return max(1, math.ceil((self.ahead + self.rate.step - self.rate.window).total_seconds()))


async def take(session: AsyncSession, user_id: uuid.UUID, policy: Policy, rate: Rate) -> Allowance:
    """Count one request of a user, unless it comes too early."""
    values = {"user_id": user_id, "policy": policy, "step": rate.step, "window": rate.window}
    allowed, ahead = (await session.execute(_TAKE, values)).one()
    return Allowance(policy, rate, allowed, ahead)
