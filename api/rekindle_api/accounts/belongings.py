"""Everything that the database holds of one user, page by page, each in a transaction of its own."""

import uuid
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from rekindle_api.attempts.models import AnimationAttempt, Attempt, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.database import Base, Database
from rekindle_api.photos.models import Photo, PhotoStatus

R = TypeVar("R", bound=Base)
_PAGE = 200


class Belongings:
    """What belongs to one user, without what is deleted."""

    def __init__(self, database: Database, user_id: uuid.UUID) -> None:
        self._database = database
        self._user_id = user_id

    async def rows(
        self, table: type[R], owner: InstrumentedAttribute[uuid.UUID], *wanted: ColumnElement[bool]
    ) -> AsyncIterator[R]:
        """Yield the user's rows of a table, whose column `owner` names the user, in the order of their ids."""
        number: ColumnElement[Any] = table.__table__.c.id
        last: object = None
        while True:
            query = select(table).where(owner == self._user_id, *wanted).order_by(number).limit(_PAGE)
            async with self._database.transaction() as session:
                page = list(await session.scalars(query if last is None else query.where(number > last)))
            for row in page:
                yield row
            if len(page) < _PAGE:
                return
            last = page[-1].id  # type: ignore[attr-defined] # every table has one

    def photos(self) -> AsyncIterator[Photo]:
        """Yield the user's photos."""
        return self.rows(Photo, Photo.owner_id, Photo.status == PhotoStatus.READY, Photo.deleted_at.is_(None))

    async def attempts(self, *, restored: bool) -> AsyncIterator[Attempt]:
        """Yield the user's restorations, or else the animations."""
        table: type[Attempt] = RestoreAttempt if restored else AnimationAttempt
        async for attempt in self.rows(table, table.owner_id, table.deleted_at.is_(None)):
            yield attempt

    async def attempts_on(self, photo_id: uuid.UUID) -> list[Attempt]:
        """Return what was made of one of the user's photos."""
        async with self._database.transaction() as session:
            return [
                *await AttemptRepository(session, RestoreAttempt).of_jobs(self._user_id, [photo_id]),
                *await AttemptRepository(session, AnimationAttempt).of_jobs(self._user_id, [photo_id]),
            ]
