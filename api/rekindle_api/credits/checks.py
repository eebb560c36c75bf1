"""Whether the ledger adds up: each question is one statement over all accounts."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_LIMIT = 100
"""So many answers to each question are enough to act on."""

LEDGER: Mapping[str, str] = MappingProxyType(
    {
        "user {}: the balance is {}, the entries make {}": """
            SELECT a.user_id, a.balance, coalesce(e.amount, 0), a.user_id AS owner FROM credit_accounts a
            LEFT JOIN (SELECT user_id, sum(amount) AS amount FROM credit_entries GROUP BY user_id) e USING (user_id)
            WHERE a.balance <> coalesce(e.amount, 0)""",
        "user {}: the balance is {}, lots less debt make {}": """
            SELECT a.user_id, a.balance, coalesce(l.remaining, 0) - a.debt, a.user_id AS owner FROM credit_accounts a
            LEFT JOIN (SELECT user_id, sum(remaining) AS remaining FROM credit_lots GROUP BY user_id) l USING (user_id)
            WHERE a.balance <> coalesce(l.remaining, 0) - a.debt""",
        "user {}: {} credits are held, the open holds make {}": """
            SELECT a.user_id, a.held, coalesce(h.credits, 0), a.user_id AS owner FROM credit_accounts a
            LEFT JOIN (SELECT user_id, sum(credits) AS credits FROM credit_holds WHERE state = 'held'
                GROUP BY user_id) h USING (user_id)
            WHERE a.held <> coalesce(h.credits, 0)""",
        "lot {}: {} credits are held, the open holds make {}": """
            SELECT l.id, l.held, coalesce(p.credits, 0), l.user_id AS owner FROM credit_lots l
            LEFT JOIN (SELECT lot_id, sum(credits) AS credits FROM credit_hold_parts
                JOIN (SELECT attempt_id FROM credit_holds WHERE state = 'held') h USING (attempt_id) GROUP BY lot_id) p
            ON p.lot_id = l.id WHERE l.held <> coalesce(p.credits, 0)""",
        "attempt {}: the hold is of {} credits, its parts make {}": """
            SELECT h.attempt_id, h.credits, coalesce(p.credits, 0), h.user_id AS owner FROM credit_holds h
            LEFT JOIN (SELECT attempt_id, sum(credits) AS credits FROM credit_hold_parts GROUP BY attempt_id) p
            USING (attempt_id) WHERE h.credits <> coalesce(p.credits, 0)""",
        "attempt {}: the hold is {}, {} credits are spent": """
            SELECT h.attempt_id, h.state, coalesce(s.spent, 0), h.user_id AS owner FROM credit_holds h
            LEFT JOIN (SELECT attempt_id, -sum(amount) AS spent FROM credit_entries WHERE kind = 'spent'
                GROUP BY attempt_id) s USING (attempt_id)
            WHERE coalesce(s.spent, 0) > h.credits OR (h.state = 'captured') <> (coalesce(s.spent, 0) > 0)""",
    }
)


class Checks:
    """Questions to which no row is the right answer: a sentence for each with the statement that asks it.

    A statement's columns fill the sentence, and one more, `owner`, is the user. What others change meanwhile counts as
    it was committed last.
    """

    def __init__(self, session: AsyncSession, questions: Mapping[str, str] = LEDGER) -> None:
        self._session = session
        self._questions = questions

    async def problems(self, user_id: uuid.UUID | None = None) -> list[str]:
        """Return a sentence for each thing that does not add up, of one user or of all; up to a hundred a question."""
        found: list[str] = []
        for sentence, question in self._questions.items():
            asked = f"SELECT * FROM ({question}) AS answers"  # noqa: S608 - made of constants
            of_one = "" if user_id is None else " WHERE owner = :user_id"
            values = {} if user_id is None else {"user_id": user_id}
            rows = await self._session.execute(text(f"{asked}{of_one} LIMIT {_LIMIT}"), values)
            found.extend(sentence.format(*row) for row in rows)
        return found
