"""Whether every attempt was charged as it ended, and the pass that checks this with the whole ledger."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.credits.checks import Checks
from rekindle_api.credits.service import check
from rekindle_api.database import Database

_log = logging.getLogger(__name__)
# A hold without an attempt is one whose photo was deleted: the attempt had ended by then.
_ALL = """(SELECT id, owner_id, status, credits, credits_charged FROM restore_attempts
    UNION ALL SELECT id, owner_id, status, credits, credits_charged FROM animation_attempts) AS a"""
_QUESTIONS = {
    "attempt {}: it is {}, its hold is {}": """
        SELECT a.id, a.status, coalesce(h.state, 'missing'), a.owner_id AS owner FROM :attempts
        LEFT JOIN credit_holds h ON h.attempt_id = a.id
        WHERE (a.credits > 0 OR h.attempt_id IS NOT NULL) AND coalesce(h.state, 'missing') <> CASE
            WHEN a.status IN ('queued', 'processing') THEN 'held'
            WHEN a.credits_charged > 0 THEN 'captured' ELSE 'released' END""",
    "attempt {}: it says that {} credits were charged, {} are spent": """
        SELECT a.id, a.credits_charged, coalesce(s.spent, 0), a.owner_id AS owner FROM :attempts
        LEFT JOIN (SELECT attempt_id, -sum(amount) AS spent FROM credit_entries WHERE kind = 'spent'
            GROUP BY attempt_id) s ON s.attempt_id = a.id
        WHERE coalesce(a.credits_charged, 0) <> coalesce(s.spent, 0)""",
    "attempt {}: it is gone, its hold is {}": """
        SELECT h.attempt_id, h.state, h.user_id AS owner FROM credit_holds h
        WHERE h.state = 'held' AND h.attempt_id NOT IN (SELECT a.id FROM :attempts)""",
}
_CHARGES: Mapping[str, str] = MappingProxyType(
    {sentence: question.replace(":attempts", _ALL) for sentence, question in _QUESTIONS.items()}
)


@dataclass
class Checked:
    """How much does not add up."""

    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"checked ledger differences={self.failures}"


async def check_charges(session: AsyncSession, user_id: uuid.UUID | None = None) -> list[str]:
    """Compare attempts, of all users or of one, with their holds and entries; return a sentence for each difference."""
    return await Checks(session, _CHARGES).problems(user_id)


async def check_ledger(database: Database) -> Checked:
    """Compare every account with its entries, lots, holds and attempts; what does not add up is logged."""
    async with database.transaction() as session:
        differences = [*await check(session), *await check_charges(session)]
    for difference in differences:
        _log.error("the ledger does not add up", extra={"difference": difference})
    return Checked(len(differences))
