"""What is done with photos that are stored: reading them with their results, and deleting them."""

import logging
import uuid
from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts import replies as attempts
from rekindle_api.attempts.models import AnimationAttempt, Attempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.attempts.service import any_open, cancel_all
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import Database
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.errors import DownloadNotFoundError, PhotoNotFoundError
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_api.photos.replies import (
    PhotoDetail,
    PhotoReply,
    downloads,
    original_download,
    photo_reply,
    thumbnail_download,
)
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.storage import Download, ObjectStorage, StorageUnavailableError

_log = logging.getLogger(__name__)


class KeyType(StrEnum):
    """Which of a photo's objects to download."""

    ORIGINAL = "original"
    PROCESSED = "processed"
    THUMBNAIL = "thumbnail"


class PhotoService:
    """Photos within one transaction; `watermarked` is the rule of the caller's tier, and decides what goes out."""

    def __init__(
        self, session: AsyncSession, storage: ObjectStorage, signed_url_seconds: int, *, watermarked: bool
    ) -> None:
        self._session = session
        self._storage = storage
        self.signed_url_seconds = signed_url_seconds
        self.watermarked = watermarked
        self._photos = PhotoRepository(session)

    async def get(self, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Photo:
        """Return one of the owner's photos.

        Raises:
            PhotoNotFoundError: there is none.
        """
        if (photo := await self._photos.get(owner_id, photo_id)) is None:
            raise PhotoNotFoundError
        return photo

    async def replies(self, owner_id: uuid.UUID, photos: Sequence[Photo]) -> list[PhotoReply]:
        """Return photos as clients see them, with signed URLs."""
        newest = await self._newest(owner_id, photos)
        marked = self.watermarked
        wanted = [item for photo in photos for item in downloads(photo, newest.get(photo.id), watermarked=marked)]
        urls = await self._storage.signed_urls(wanted, self.signed_url_seconds)
        return [photo_reply(photo, newest.get(photo.id), urls, watermarked=marked) for photo in photos]

    async def detail(self, owner_id: uuid.UUID, photo: Photo) -> PhotoDetail:
        """Return a photo with its results and the attempts that still run."""
        restores = await AttemptRepository(self._session, RestoreAttempt).of_jobs(owner_id, [photo.id])
        animations = await AttemptRepository(self._session, AnimationAttempt).of_jobs(owner_id, [photo.id])
        restored = [attempt for attempt in restores if attempt.status == AttemptStatus.COMPLETED]
        newest = restored[-1] if restored else None
        animated = [attempt for attempt in animations if attempt.status == AttemptStatus.COMPLETED]
        completed: list[Attempt] = [*restored, *animated]
        everything: list[Attempt] = [*restores, *animations]
        marked = self.watermarked
        wanted = [
            *downloads(photo, newest, watermarked=marked),
            *(item for attempt in completed for item in attempts.downloads(attempt, watermarked=marked)),
        ]
        urls = await self._storage.signed_urls(wanted, self.signed_url_seconds)
        return PhotoDetail(
            photo=photo_reply(photo, newest, urls, watermarked=marked),
            results=[attempts.result_reply(attempt, urls, watermarked=marked) for attempt in restored],
            animations=[attempts.animation_reply(attempt, urls, watermarked=marked) for attempt in animated],
            processing_jobs=[
                attempts.processing_reply(attempt)
                for attempt in everything
                if not AttemptStatus(attempt.status).finished
            ],
            related_photos=[],
        )

    async def download(self, owner_id: uuid.UUID, photo: Photo, key_type: KeyType) -> Download:
        """Return one of a photo's objects.

        Raises:
            DownloadNotFoundError: the photo has no such object yet.
        """
        found: Download | None
        if key_type is KeyType.ORIGINAL:
            found = original_download(photo)
        elif key_type is KeyType.THUMBNAIL:
            found = thumbnail_download(photo)
        else:
            newest = (await self._newest(owner_id, [photo])).get(photo.id)
            found = attempts.result_download(newest, watermarked=self.watermarked) if newest is not None else None
        if found is None:
            raise DownloadNotFoundError(f"The photo has no {key_type} version yet.")
        return found

    async def _newest(self, owner_id: uuid.UUID, photos: Sequence[Photo]) -> dict[uuid.UUID, RestoreAttempt]:
        if not photos:
            return {}
        ids = [photo.id for photo in photos]
        return await AttemptRepository(self._session, RestoreAttempt).newest_completed(owner_id, ids)


async def delete_photo(database: Database, storage: ObjectStorage, owner_id: uuid.UUID, photo_id: uuid.UUID) -> bool:
    """Hide a photo, cancel what still runs for it, and delete every object of it. Safe to repeat.

    Returns:
        Whether all its objects are gone; else the sweep deletes them, once no pod can write there any more.

    Raises:
        PhotoNotFoundError: the owner never had it.
    """
    async with database.transaction() as session:
        photos = PhotoRepository(session)
        if (photo := await photos.hide(owner_id, photo_id)) is not None:
            await cancel_all(session, photo.id)
            await AuditRepository(session).record("photo.deleted", owner_id, photo.id)
            at_commit(session, Commit.PHOTO_DELETED)
        elif (photo := await photos.hidden(owner_id, photo_id)) is None:
            raise PhotoNotFoundError
    return await _delete_objects(database, storage, photo)


async def _delete_objects(database: Database, storage: ObjectStorage, photo: Photo) -> bool:
    try:
        async with database.transaction() as session:
            if await any_open(session, photo.id):
                return False
        await storage.of(photo.bucket).delete_prefix(photo_prefix(photo.owner_id, photo.id))
        reached(Place.PHOTO_CLEARED)
    except (StorageUnavailableError, SQLAlchemyError):
        _log.warning("the objects of a deleted photo will be swept later", extra={"photo_id": str(photo.id)})
        return False
    return True
