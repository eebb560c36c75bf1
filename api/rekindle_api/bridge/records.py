"""Queries of the bridge over attempts and their orders together."""

import uuid
from collections.abc import Collection

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import OPEN, AnimationAttempt
from rekindle_api.attempts.repository import A
from rekindle_api.outbox.models import OutboxEntry


class BridgeRecords:
    """Attempts and orders within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def attempts(self, table: type[A], ids: Collection[uuid.UUID]) -> dict[uuid.UUID, A]:
        """Return those of the attempts that exist."""
        rows = await self._session.scalars(select(table).where(table.id.in_(ids)))
        return {row.id: row for row in rows}

    async def created(self, table: type[A]) -> set[uuid.UUID]:
        """Return the open attempts for which a resource was made: nothing is ordered for them any more."""
        ordered = exists().where(OutboxEntry.attempt_id == table.id)
        rows = await self._session.scalars(select(table.id).where(table.status.in_(OPEN), ~ordered))
        return set(rows)

    async def animated(self, restore_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return those of the restorations that an open animation is made of: its resource may name theirs."""
        rows = await self._session.scalars(
            select(AnimationAttempt.restore_id).where(
                AnimationAttempt.restore_id.in_(restore_ids), AnimationAttempt.status.in_(OPEN)
            )
        )
        return {row for row in rows if row is not None}

    async def is_ordered(self, attempt_id: uuid.UUID) -> bool:
        """Tell whether something is still to be done for an attempt's resource."""
        return bool(await self._session.scalar(select(exists().where(OutboxEntry.attempt_id == attempt_id))))
