"""Every query on users."""

import uuid
from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.faults import Commit, at_commit
from rekindle_api.users.models import AccountStatus, User


class UserRepository:
    """Users within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_or_create(self, supabase_user_id: uuid.UUID, email: str | None) -> User:
        """Return the user of a Supabase account; calls that race make one row."""
        statement = select(User).where(User.supabase_user_id == supabase_user_id)
        found = (await self._session.scalars(statement)).one_or_none()
        if found is not None:
            return found
        await self._session.execute(
            insert(User)
            .values(supabase_user_id=supabase_user_id, email=email)
            .on_conflict_do_nothing(index_elements=[User.supabase_user_id])
        )
        at_commit(self._session, Commit.USER_CREATED)
        return (await self._session.scalars(statement)).one()

    async def get(self, user_id: uuid.UUID) -> User | None:
        """Return a user by our own id."""
        return await self._session.get(User, user_id)

    async def active_among(self, user_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return those of some users whose accounts may act."""
        banned = User.banned_until > func.now()
        wanted = select(User.id).where(
            User.id.in_(user_ids), User.status == AccountStatus.ACTIVE, ~func.coalesce(banned, False)
        )
        return set(await self._session.scalars(wanted))
