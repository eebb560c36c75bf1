"""Every query on the inbox: how events get in, and how they are taken, finished, set aside and handled again."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.webhooks.models import WebhookEvent

_OPEN = and_(WebhookEvent.handled_at.is_(None), WebhookEvent.parked_at.is_(None))
_MAX_ERROR_LENGTH = 1000


@dataclass(frozen=True)
class Backlog:
    """How many events wait, how many were set aside, and the age of the oldest that waits."""

    waiting: int
    parked: int
    oldest_seconds: float


class WebhookRepository:
    """The inbox within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, source: str, external_id: str, kind: str, object_id: str | None, occurred_at: datetime) -> bool:
        """Store an event; return whether it is new."""
        added = await self._session.scalars(
            insert(WebhookEvent)
            .values(source=source, external_id=external_id, type=kind, object_id=object_id, occurred_at=occurred_at)
            .on_conflict_do_nothing(index_elements=[WebhookEvent.source, WebhookEvent.external_id])
            .returning(WebhookEvent.id)
        )
        return added.one_or_none() is not None

    async def claim(self, source: str, limit: int, lease: timedelta) -> list[WebhookEvent]:
        """Take up to `limit` due events for the time of `lease`; other processes take others."""
        due = (
            select(WebhookEvent.id)
            .where(
                _OPEN,
                WebhookEvent.source == source,
                WebhookEvent.available_at <= func.now(),
                or_(WebhookEvent.claimed_until.is_(None), WebhookEvent.claimed_until <= func.now()),
            )
            .order_by(WebhookEvent.available_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = await self._session.scalars(
            update(WebhookEvent)
            .where(WebhookEvent.id.in_(due.scalar_subquery()))
            .values(attempts=WebhookEvent.attempts + 1, claimed_until=func.now() + lease)
            .returning(WebhookEvent)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return list(claimed)

    async def finish(self, event_id: uuid.UUID, outcome: str) -> None:
        """Note that an event was handled, and what that did."""
        await self._set(event_id, handled_at=func.now(), parked_at=None, outcome=outcome, last_error=None)

    async def postpone(self, event_id: uuid.UUID, delay: timedelta, error: str, tries: int) -> None:
        """Have an event handled again after `delay`; `tries` is how many tries count so far."""
        error = error[:_MAX_ERROR_LENGTH]
        await self._set(event_id, available_at=func.now() + delay, last_error=error, attempts=tries)

    async def park(self, event_id: uuid.UUID, error: str) -> None:
        """Set an event aside that failed too often."""
        await self._set(event_id, parked_at=func.now(), last_error=error[:_MAX_ERROR_LENGTH])

    async def replay(self, source: str, external_id: str) -> bool:
        """Have an event handled once more, whatever became of it; return whether there is one."""
        replayed = await self._session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.source == source, WebhookEvent.external_id == external_id)
            .values(
                handled_at=None, parked_at=None, claimed_until=None, attempts=0, available_at=func.now(), outcome=None
            )
            .execution_options(synchronize_session=False)
        )
        return _count(replayed) > 0

    async def parked(self, limit: int = 100) -> list[WebhookEvent]:
        """Return events that were set aside, oldest first."""
        found = await self._session.scalars(
            select(WebhookEvent)
            .where(WebhookEvent.handled_at.is_(None), WebhookEvent.parked_at.is_not(None))
            .order_by(WebhookEvent.received_at, WebhookEvent.id)
            .limit(limit)
        )
        return list(found)

    async def backlog(self) -> Backlog:
        """Return how the inbox stands."""
        waits = WebhookEvent.parked_at.is_(None)
        age = func.extract("epoch", func.now() - func.min(WebhookEvent.received_at).filter(waits))
        row = (
            await self._session.execute(
                select(func.count().filter(waits), func.count().filter(~waits), func.coalesce(age, 0)).where(
                    WebhookEvent.handled_at.is_(None)
                )
            )
        ).one()
        return Backlog(waiting=row[0], parked=row[1], oldest_seconds=float(row[2]))

    async def find(self, external_id: str) -> list[WebhookEvent]:
        """Return the events of any source that have this id, or that name this object, oldest first."""
        found = await self._session.scalars(
            select(WebhookEvent)
            .where(or_(WebhookEvent.external_id == external_id, WebhookEvent.object_id == external_id))
            .order_by(WebhookEvent.received_at, WebhookEvent.id)
        )
        return list(found)

    async def forget_handled(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` events that were handled before then; return how many."""
        old = (
            select(WebhookEvent.id)
            .where(WebhookEvent.handled_at < before)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return _count(
            await self._session.execute(delete(WebhookEvent).where(WebhookEvent.id.in_(old.scalar_subquery())))
        )

    async def _set(self, event_id: uuid.UUID, **values: object) -> None:
        await self._session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.id == event_id)
            .values(claimed_until=None, **values)
            .execution_options(synchronize_session=False)
        )


def _count(result: object) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
