"""Every query on users."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.faults import Commit, at_commit
from rekindle_api.users.models import AccountStatus, User

# Built once: nearly every request runs it.
_OF_SUPABASE = select(User).where(User.supabase_user_id == bindparam("supabase_user_id"))


class UserRepository:
    """Users within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_or_create(self, supabase_user_id: uuid.UUID, email: str | None) -> tuple[User, bool]:
        """Return the user of a Supabase account, and whether this call made the row; calls that race make one."""
        if (found := await self.of_supabase(supabase_user_id)) is not None:
            return found, False
        if (made := await self.insert(supabase_user_id, {"email": email})) is not None:
            return made, True
        found = await self.of_supabase(supabase_user_id)
        assert found is not None  # noqa: S101 - rows of users are never deleted
        return found, False

    async def of_supabase(self, supabase_user_id: uuid.UUID, *, lock: bool = False) -> User | None:
        """Return the user of a Supabase account; with `lock` nobody else can change it before this transaction ends."""
        statement = _OF_SUPABASE
        if lock:
            statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
        return (await self._session.scalars(statement, {"supabase_user_id": supabase_user_id})).one_or_none()

    async def get(self, user_id: uuid.UUID, *, lock: bool = False) -> User | None:
        """Return a user by our own id; with `lock` nobody else can change it before this transaction ends."""
        statement = select(User).where(User.id == user_id)
        if lock:
            statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
        return (await self._session.scalars(statement)).one_or_none()

    async def insert(self, supabase_user_id: uuid.UUID, values: Mapping[str, object]) -> User | None:
        """Insert a row; None when there is one for this Supabase account already."""
        rows = await self._session.scalars(
            insert(User)
            .values(supabase_user_id=supabase_user_id, **values)
            .on_conflict_do_nothing(index_elements=[User.supabase_user_id])
            .returning(User)
        )
        at_commit(self._session, Commit.USER_CREATED)
        return rows.one_or_none()

    async def change(self, user_id: uuid.UUID, values: Mapping[str, object]) -> User:
        """Set columns of a user."""
        rows = await self._session.scalars(
            update(User)
            .where(User.id == user_id)
            .values(updated_at=func.now(), **values)
            .returning(User)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return rows.one()

    async def live_supabase_ids(self, after: uuid.UUID | None, limit: int) -> Sequence[uuid.UUID]:
        """Return, in order, Supabase ids of accounts that are not deleted."""
        statement = select(User.supabase_user_id).where(User.status != AccountStatus.DELETED)
        if after is not None:
            statement = statement.where(User.supabase_user_id > after)
        return list(await self._session.scalars(statement.order_by(User.supabase_user_id).limit(limit)))

    async def of_supabase_ids(self, supabase_user_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, User]:
        """Return the users of some Supabase accounts, by the ids of those."""
        rows = await self._session.scalars(select(User).where(User.supabase_user_id.in_(supabase_user_ids)))
        return {user.supabase_user_id: user for user in rows}

    async def grace_over(self, before: datetime) -> Sequence[uuid.UUID]:
        """Return ids of accounts whose deletion was asked for before then."""
        asked_before = User.deletion_requested_at <= before
        statement = select(User.id).where(User.status == AccountStatus.DELETION_REQUESTED, asked_before)
        return list(await self._session.scalars(statement.order_by(User.deletion_requested_at)))

    async def unpurged(self, after: uuid.UUID | None, limit: int) -> Sequence[User]:
        """Return, in the order of their ids, deleted accounts of which something may be left."""
        statement = select(User).where(User.deleted_at.is_not(None), User.purged_at.is_(None))
        if after is not None:
            statement = statement.where(User.id > after)
        return list(await self._session.scalars(statement.order_by(User.id).limit(limit)))

    async def active_among(self, user_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return those of some users whose accounts may act now."""
        banned = func.coalesce(User.banned_until > func.now(), False)
        wanted = select(User.id).where(User.id.in_(user_ids), User.status == AccountStatus.ACTIVE, ~banned)
        return set(await self._session.scalars(wanted))
