"""Where an administrator's commands are done: one transaction, with a line in the audit log of who did what and why."""

import getpass
import os
import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.administration.answers import RefusedError
from rekindle_api.administration.records import AdminRecords
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.settings import PlanSettings
from rekindle_api.users.models import User


@dataclass(frozen=True)
class Desk:
    """One command under way. What it changes is committed together with its line in the audit log, or not at all."""

    session: AsyncSession
    plans: PlanSettings
    actor: str
    reason: str

    async def note(self, action: str, subject_id: uuid.UUID | None, **details: str | int | bool) -> None:
        """Append what is done to the audit log."""
        why = {"reason": self.reason} if self.reason else {}
        audit = AuditRepository(self.session)
        await audit.record(f"admin.{action}", None, subject_id, actor=self.actor, **why, **details)

    async def user(self, wanted: str) -> User:
        """Return the account of our id, a Supabase id or an e-mail.

        Raises:
            RefusedError: there is none, or several share the e-mail.
        """
        found = await AdminRecords(self.session).users(wanted)
        if not found:
            raise RefusedError("There is no such account.")
        if len(found) > 1:
            ids = ", ".join(f"{user.id} ({user.status})" for user in found)
            raise RefusedError(f"Several accounts have this e-mail; name one of them by its id: {ids}.")
        return found[0]


def os_user() -> str:
    """Return the name of who runs this process, as the operating system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
