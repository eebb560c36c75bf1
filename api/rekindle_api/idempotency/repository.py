"""Every query on idempotency keys."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.idempotency.models import IdempotencyKey

LIFETIME = timedelta(hours=24)
"""How long an answer is kept."""


@dataclass(frozen=True)
class Wish:
    """One request by its key. `fingerprint` is the same for equal requests."""

    user_id: uuid.UUID
    route: str
    key: str
    fingerprint: str


class IdempotencyRepository:
    """Idempotency keys within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(self, wish: Wish) -> bool:
        """Keep twins of a request away until the transaction ends; tell whether there is none under way."""
        name = f"{wish.user_id} {wish.route} {wish.key}"
        wanted = select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))
        return bool(await self._session.scalar(wanted))

    async def find(self, wish: Wish) -> IdempotencyKey | None:
        """Return the answer that was given for the key."""
        return (
            await self._session.scalars(
                select(IdempotencyKey).where(
                    IdempotencyKey.user_id == wish.user_id,
                    IdempotencyKey.route == wish.route,
                    IdempotencyKey.key == wish.key,
                    IdempotencyKey.expires_at > func.now(),
                )
            )
        ).one_or_none()

    async def store(self, wish: Wish, status_code: int, body: dict[str, Any]) -> None:
        """Keep an answer, in place of one that has expired."""
        answer = {
            "fingerprint": wish.fingerprint,
            "status_code": status_code,
            "body": body,
            "created_at": func.now(),
            "expires_at": func.now() + LIFETIME,
        }
        await self._session.execute(
            insert(IdempotencyKey)
            .values(user_id=wish.user_id, route=wish.route, key=wish.key, **answer)
            .on_conflict_do_update(
                index_elements=[IdempotencyKey.user_id, IdempotencyKey.route, IdempotencyKey.key], set_=answer
            )
        )

    async def delete_expired(self) -> int:
        """Delete the answers that are not given any more; return how many there were."""
        gone = await self._session.execute(
            delete(IdempotencyKey)
            .where(IdempotencyKey.expires_at <= func.now())
            .execution_options(synchronize_session=False)
        )
        return gone.rowcount if isinstance(gone, CursorResult) else 0
