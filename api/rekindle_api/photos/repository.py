"""Every query on photos and their upload sessions. Those for users take the owner."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Integer, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from rekindle_api.photos.models import Photo, PhotoStatus, UploadSession

_PENDING = (Photo.status == PhotoStatus.PENDING, Photo.deleted_at.is_(None))


class PhotoRepository:
    """Photos within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, photo: Photo) -> None:
        """Insert a photo."""
        self._session.add(photo)
        await self._session.flush()

    async def hold_pending(self, photo_id: uuid.UUID) -> bool:
        """Keep everyone else from a pending photo until this transaction ends; tell whether it is one still."""
        pending = select(Photo.id).where(Photo.id == photo_id, *_PENDING)
        return await self._session.scalar(pending.with_for_update()) is not None

    async def make_ready(self, photo_id: uuid.UUID, facts: Mapping[str, object]) -> Photo:
        """Turn a pending photo, which is held, into one that counts, with its upload session.

        Raises:
            IntegrityError: the owner has a photo with the same bytes.
        """
        rows = await self._session.scalars(
            update(Photo)
            .where(Photo.id == photo_id, *_PENDING)
            .values(status=PhotoStatus.READY, updated_at=func.now(), **facts)
            .returning(Photo)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        photo = rows.one()
        self._session.add(UploadSession(id=photo.id, owner_id=photo.owner_id))
        await self._session.flush()
        return photo

    async def announced(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo | None:
        """Return the photo of a presigned upload, whatever became of it."""
        rows = await self._session.scalars(
            select(Photo).where(Photo.owner_id == owner_id, Photo.id == photo_id, Photo.declared_bytes.is_not(None))
        )
        return rows.one_or_none()

    async def settle_on(self, photo_id: uuid.UUID, sha256: str) -> bool:
        """Note which bytes a pending photo is made of, once; tell whether it is these."""
        settled = await self._session.scalars(
            update(Photo)
            .where(Photo.id == photo_id, or_(Photo.sha256.is_(None), Photo.sha256 == sha256))
            .values(sha256=sha256)
            .returning(Photo.id)
            .execution_options(synchronize_session=False)
        )
        return settled.one_or_none() is not None

    async def prolong(self, photo: Photo, time: timedelta) -> None:
        """Keep a photo that is kept for a time for at least `time` from now."""
        rows = await self._session.scalars(
            update(Photo)
            .where(Photo.id == photo.id, Photo.expires_at < func.now() + time)
            .values(expires_at=func.now() + time)
            .returning(Photo.expires_at)
            .execution_options(synchronize_session=False)
        )
        if (prolonged := rows.one_or_none()) is not None:
            set_committed_value(photo, "expires_at", prolonged)

    async def with_hash(self, owner_id: uuid.UUID, sha256: str) -> Photo | None:
        """Return the owner's photo with these bytes."""
        rows = await self._session.scalars(select(Photo).where(*_live(owner_id), Photo.sha256 == sha256))
        return rows.one_or_none()

    async def get(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo | None:
        """Return one of the owner's photos."""
        rows = await self._session.scalars(select(Photo).where(*_live(owner_id), Photo.id == photo_id))
        return rows.one_or_none()

    async def hold(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo | None:
        """Return one of the owner's photos, which nobody can delete before this transaction ends."""
        wanted = select(Photo).where(*_live(owner_id), Photo.id == photo_id)
        return (await self._session.scalars(wanted.with_for_update(read=True))).one_or_none()

    async def page(self, owner_id: uuid.UUID, offset: int, limit: int) -> tuple[list[Photo], int]:
        """Return a page of the owner's photos, newest first, and how many there are in all."""
        rows = await self._session.execute(_PAGE, {"owner_id": owner_id, "offset": offset, "limit": limit})
        found = rows.all()
        if found or offset == 0:
            return [photo for photo, _ in found], found[0][1] if found else 0
        total = await self._session.scalar(select(func.count()).select_from(Photo).where(*_live(owner_id)))
        return [], total or 0

    async def sessions(self, owner_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, UploadSession]:
        """Return upload sessions of the owner by their ids."""
        rows = await self._session.scalars(
            select(UploadSession).where(UploadSession.owner_id == owner_id, UploadSession.id.in_(ids))
        )
        return {row.id: row for row in rows}

    async def set_metadata(self, owner_id: uuid.UUID, photo_id: uuid.UUID, metadata: dict[str, Any]) -> Photo | None:
        """Replace what the owner noted about a photo."""
        rows = await self._session.scalars(
            update(Photo)
            .where(*_live(owner_id), Photo.id == photo_id)
            .values(user_metadata=metadata, updated_at=func.now())
            .returning(Photo)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return rows.one_or_none()

    async def hide(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo | None:
        """Mark one of the owner's photos as deleted; None when there is none, or none any more."""
        rows = await self._session.scalars(
            update(Photo)
            .where(*_live(owner_id), Photo.id == photo_id)
            .values(deleted_at=func.now(), updated_at=func.now())
            .returning(Photo)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return rows.one_or_none()

    async def hide_all(self, owner_id: uuid.UUID) -> None:
        """Mark every photo of an owner as deleted, uploads under way included."""
        await self._session.execute(
            update(Photo)
            .where(Photo.owner_id == owner_id, Photo.deleted_at.is_(None))
            .values(deleted_at=func.now(), updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def any_left(self, owner_id: uuid.UUID) -> bool:
        """Tell whether there is a row of a photo of an owner, hidden ones included."""
        return bool(await self._session.scalar(select(exists().where(Photo.owner_id == owner_id))))

    async def hidden(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo | None:
        """Return one of the owner's photos that is deleted already."""
        rows = await self._session.scalars(
            select(Photo).where(
                Photo.owner_id == owner_id,
                Photo.id == photo_id,
                Photo.status == PhotoStatus.READY,
                Photo.deleted_at.is_not(None),
            )
        )
        return rows.one_or_none()

    async def discard(self, photo_id: uuid.UUID) -> bool:
        """Mark a pending photo as deleted, so that its objects may be deleted; tell whether it was one."""
        discarded = await self._session.scalars(
            update(Photo)
            .where(Photo.id == photo_id, *_PENDING)
            .values(deleted_at=func.now(), updated_at=func.now())
            .returning(Photo.id)
            .execution_options(synchronize_session=False)
        )
        return discarded.one_or_none() is not None

    async def forget(self, photo_id: uuid.UUID) -> None:
        """Delete the row of an upload that never became a photo."""
        await self._session.execute(delete(Photo).where(Photo.id == photo_id, Photo.status == PhotoStatus.PENDING))


def _live(owner_id: uuid.UUID | BindParameter[uuid.UUID]) -> tuple[ColumnElement[bool], ...]:
    return (Photo.owner_id == owner_id, Photo.status == PhotoStatus.READY, Photo.deleted_at.is_(None))


# Built once, for every gallery.
_PAGE = (
    select(Photo, func.count().over())
    .where(*_live(bindparam("owner_id", type_=Photo.owner_id.type)))
    .order_by(Photo.created_at.desc(), Photo.id.desc())
    .offset(bindparam("offset", type_=Integer))
    .limit(bindparam("limit", type_=Integer))
)
