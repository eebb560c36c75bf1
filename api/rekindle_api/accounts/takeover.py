"""Takes over what Supabase says of an account, with everything that follows from it."""

from rekindle_api.accounts.erasure import close_account
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.credits.service import ensure_account
from rekindle_api.database import Database
from rekindle_api.faults import Commit, at_commit
from rekindle_api.settings import PlanSettings
from rekindle_api.users.applying import Applied, apply_record
from rekindle_api.users.changes import Action
from rekindle_api.users.supabase import SupabaseUser


async def take_over(database: Database, record: SupabaseUser, plans: PlanSettings) -> Applied:
    """Apply a record of an account. A verified e-mail brings the free credits; one that is marked deleted, the end."""
    if record.deleted_at is not None:
        return await close_account(database, record.id)
    async with database.transaction() as session:
        applied = await apply_record(session, record)
        at_commit(session, Commit.RECORD_APPLIED)
        if applied.user is not None and applied.action in {Action.CREATED, Action.UPDATED}:
            await AuditRepository(session).record(f"account.{applied.action}", None, applied.user.id)
    if applied.user is not None and applied.action in {Action.CREATED, Action.UPDATED}:
        # A transaction of its own: credits are locked before accounts.
        async with database.transaction() as session:
            await ensure_account(session, applied.user, plans)
    return applied
