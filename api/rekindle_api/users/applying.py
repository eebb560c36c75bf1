"""Writes into users what Supabase said of an account."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.users.changes import Action, Change, Standing, on_deletion, on_record
from rekindle_api.users.models import User
from rekindle_api.users.repository import UserRepository
from rekindle_api.users.supabase import SupabaseUser


@dataclass(frozen=True)
class Applied:
    """What a notice did, and the row it is about, if there is one."""

    action: Action
    user: User | None = None


async def apply_record(session: AsyncSession, record: SupabaseUser) -> Applied:
    """Take over a record of an account, unless a newer one or a deletion was seen."""
    now = datetime.now(UTC)
    return await _apply(session, record.id, lambda standing: on_record(standing, record, now))


async def apply_deletion(session: AsyncSession, supabase_user_id: uuid.UUID) -> Applied:
    """Leave a tombstone of an account; one that was never seen gets one too, as its record may come late."""
    now = datetime.now(UTC)
    return await _apply(session, supabase_user_id, lambda standing: on_deletion(standing, now))


async def _apply(
    session: AsyncSession, supabase_user_id: uuid.UUID, decide: Callable[[Standing | None], Change]
) -> Applied:
    users = UserRepository(session)
    while True:
        user = await users.of_supabase(supabase_user_id, lock=True)
        change = decide(Standing.of(user))
        if not change.values:
            return Applied(change.action, user)
        if user is not None:
            return Applied(change.action, await users.change(user.id, change.values))
        # None when another transaction was faster: then there is a row to decide on in the next round.
        if (made := await users.insert(supabase_user_id, change.values)) is not None:
            return Applied(change.action, made)
