"""The end of an account: asked for, taken back within the grace period, or brought about by Supabase.

At the end of the account its row becomes a tombstone without personal data, its photos are hidden, and what runs for it
is cancelled, in one transaction. The sweep does the rest: see `purge`. Rows are locked in the order that everything
keeps to: photos, credits, the account, attempts.
"""

import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.service import cancel_of_owner
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.auth.errors import AccountDeletedError
from rekindle_api.credits import service as ledger
from rekindle_api.database import Database
from rekindle_api.faults import Commit, at_commit
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.users.applying import Applied, apply_deletion
from rekindle_api.users.changes import Action, tombstone
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository


async def request_deletion(session: AsyncSession, user_id: uuid.UUID) -> User:
    """Begin the grace period, and cancel what runs. A second request changes nothing.

    Raises:
        AccountDeletedError: the account is deleted already.
    """
    await ledger.lock(session, user_id)
    user = await _held(session, user_id)
    if user.status == AccountStatus.DELETION_REQUESTED:
        return user
    values = {"status": AccountStatus.DELETION_REQUESTED, "deletion_requested_at": datetime.now(UTC)}
    user = await UserRepository(session).change(user_id, values)
    await cancel_of_owner(session, user_id)
    await AuditRepository(session).record("account.deletion_requested", user_id, user_id)
    at_commit(session, Commit.DELETION_REQUESTED)
    return user


async def cancel_deletion(session: AsyncSession, user_id: uuid.UUID) -> User:
    """Let an account live whose deletion was asked for; another one stays as it is.

    Raises:
        AccountDeletedError: the account is deleted already.
    """
    user = await _held(session, user_id)
    if user.status != AccountStatus.DELETION_REQUESTED:
        return user
    user = await UserRepository(session).change(
        user_id, {"status": AccountStatus.ACTIVE, "deletion_requested_at": None}
    )
    await AuditRepository(session).record("account.deletion_cancelled", user_id, user_id)
    return user


async def close_account(database: Database, supabase_user_id: uuid.UUID) -> Applied:
    """End the account of a Supabase user who is gone; one that is not known here gets a tombstone only."""
    async with database.transaction() as session:
        known = await UserRepository(session).of_supabase(supabase_user_id)
        if known is not None:
            await PhotoRepository(session).hide_all(known.id)
            await ledger.lock(session, known.id)
        applied = await apply_deletion(session, supabase_user_id)
        if known is not None and applied.action is Action.DELETED:
            await _give_up(session, known.id, "supabase")
    return applied


async def close_after_grace(database: Database, user_id: uuid.UUID, grace: timedelta) -> bool:
    """End an account whose grace period is over; tell whether it was: its owner may have taken the wish back."""
    try:
        async with database.transaction() as session:
            await PhotoRepository(session).hide_all(user_id)
            await ledger.lock(session, user_id)
            await _bury(session, await _held(session, user_id), grace)
    except (_TakenBackError, AccountDeletedError):
        return False
    return True


async def _bury(session: AsyncSession, user: User, grace: timedelta) -> None:
    now, asked = datetime.now(UTC), user.deletion_requested_at
    if user.status != AccountStatus.DELETION_REQUESTED or asked is None or asked > now - grace:
        raise _TakenBackError
    await UserRepository(session).change(user.id, tombstone(now))
    await _give_up(session, user.id, "owner")


class _TakenBackError(Exception):
    """The photos that were hidden must be seen again."""


async def _give_up(session: AsyncSession, user_id: uuid.UUID, wanted_by: str) -> None:
    await cancel_of_owner(session, user_id)
    await AuditRepository(session).record("account.deleted", None, user_id, wanted_by=wanted_by)
    at_commit(session, Commit.ACCOUNT_ENDED)


async def _held(session: AsyncSession, user_id: uuid.UUID) -> User:
    """Return an account that nobody else changes before this transaction ends."""
    user = await UserRepository(session).get(user_id, lock=True)
    if user is None or user.status == AccountStatus.DELETED:
        raise AccountDeletedError
    return user
