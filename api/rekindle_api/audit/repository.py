"""The one statement on the audit log: append."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.audit.models import AuditEntry
from rekindle_api.logs import current_request_id


class AuditRepository:
    """The audit log within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def record(
        self, action: str, actor_id: uuid.UUID | None, subject_id: uuid.UUID | None, **details: str | int | bool
    ) -> None:
        """Append what was done, together with the transaction that does it. `details` hold no personal data."""
        self._session.add(
            AuditEntry(
                action=action,
                actor_id=actor_id,
                subject_id=subject_id,
                request_id=current_request_id(),
                details=dict(details),
            )
        )
        await self._session.flush()
