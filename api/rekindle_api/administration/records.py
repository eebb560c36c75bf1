"""What administrators look up over all accounts: every query of the commands that no domain has."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.audit.models import AuditEntry
from rekindle_api.billing.models import Payment
from rekindle_api.outbox.models import AttemptKind, OutboxEntry
from rekindle_api.photos.models import Photo, PhotoStatus
from rekindle_api.users.models import User
from rekindle_api.webhooks.models import WebhookEvent

_TABLES = ((AttemptKind.RESTORE, RestoreAttempt), (AttemptKind.ANIMATION, AnimationAttempt))
_WAITING = WebhookEvent.handled_at.is_(None) & WebhookEvent.parked_at.is_(None)
EVENT_STATES = {
    "waiting": _WAITING,
    "parked": WebhookEvent.parked_at.is_not(None),
    "handled": WebhookEvent.handled_at.is_not(None),
}


class AdminRecords:
    """The queries, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def users(self, wanted: str) -> Sequence[User]:
        """Return the accounts of this id, Supabase id or e-mail, newest first."""
        if (key := as_id(wanted)) is not None:
            by = or_(User.id == key, User.supabase_user_id == key)
        else:
            by = func.lower(User.email) == wanted.strip().lower()
        rows = await self._session.scalars(select(User).where(by).order_by(User.created_at.desc()).limit(20))
        return list(rows)

    async def photos(self, owner_id: uuid.UUID) -> int:
        """Return how many photos an account has."""
        count = select(func.count()).where(
            Photo.owner_id == owner_id, Photo.status == PhotoStatus.READY, Photo.deleted_at.is_(None)
        )
        return await self._session.scalar(count) or 0

    async def attempts(self, owner_id: uuid.UUID, limit: int) -> Sequence[Sequence[object]]:
        """Return the last attempts of an account: id, kind, status, reason, credits, when asked for, when ended."""
        each = [
            select(
                table.id,
                literal(kind.value).label("kind"),
                table.status,
                table.reason,
                table.credits,
                table.created_at,
                table.finished_at,
            )
            .where(table.owner_id == owner_id)
            .order_by(table.created_at.desc())
            .limit(limit)
            for kind, table in _TABLES
        ]
        together = union_all(*(select(one.subquery()) for one in each)).subquery()
        rows = await self._session.execute(select(together).order_by(together.c.created_at.desc()).limit(limit))
        return [tuple(row) for row in rows]

    async def payments(self, user_id: uuid.UUID, limit: int) -> Sequence[Payment]:
        """Return the last payments of an account."""
        wanted = select(Payment).where(Payment.user_id == user_id).order_by(Payment.paid_at.desc()).limit(limit)
        return list(await self._session.scalars(wanted))

    async def orders(self, limit: int) -> Sequence[OutboxEntry]:
        """Return orders that wait or were set aside: these first, then the oldest."""
        wanted = select(OutboxEntry).order_by(OutboxEntry.parked_at.is_(None), OutboxEntry.created_at).limit(limit)
        return list(await self._session.scalars(wanted))

    async def events(self, state: str | None, source: str | None, limit: int) -> Sequence[WebhookEvent]:
        """Return events of the inbox, newest first."""
        wanted = select(WebhookEvent).order_by(WebhookEvent.received_at.desc(), WebhookEvent.id.desc()).limit(limit)
        if state is not None:
            wanted = wanted.where(EVENT_STATES[state])
        if source is not None:
            wanted = wanted.where(WebhookEvent.source == source)
        return list(await self._session.scalars(wanted))

    async def trail(self, wanted: str, limit: int) -> Sequence[AuditEntry]:
        """Return what was done by or to this id, or in the request of this id, newest first."""
        by = AuditEntry.request_id == wanted
        if (key := as_id(wanted)) is not None:
            by = or_(by, AuditEntry.subject_id == key, AuditEntry.actor_id == key)
        rows = await self._session.scalars(select(AuditEntry).where(by).order_by(AuditEntry.id.desc()).limit(limit))
        return list(rows)


def as_id(text: str) -> uuid.UUID | None:
    """Return the UUID that a text is; None when it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
