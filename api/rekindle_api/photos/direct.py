"""Takes an upload that goes straight to S3: a form that binds it, then a call that completes it.

The form lets its holder write one key under `incoming/`, which nothing is ever served from. The complete call reads
what came there, and copies exactly those bytes to the photo's own key.
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.database import new_id
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.errors import (
    ChecksumMismatchError,
    PhotoNotFoundError,
    PhotoRefusedError,
    UploadChangedError,
    UploadMissingError,
    UploadStalledError,
    UploadTooLargeError,
)
from rekindle_api.photos.intake import Intake, Uploaded
from rekindle_api.photos.models import Photo, PhotoStatus, incoming_prefix, photo_prefix
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.spool import Spool
from rekindle_api.storage import (
    Form,
    ObjectChangedError,
    ObjectInfo,
    ObjectMissingError,
    StorageUnavailableError,
    UploadTerms,
)
from rekindle_api.users.models import User


@dataclass(frozen=True)
class Announced:
    """What a client says of the file that it is going to upload."""

    media_type: str
    least: int
    most: int
    """Fewest and most bytes it may have; the same when its size is known."""
    sha256: bytes | None = None


class DirectUploads:
    """Uploads that go to S3 by themselves."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def announce(self, session: AsyncSession, owner: User, announced: Announced) -> tuple[Photo, Form]:
        """Add a pending photo, and return it with the form that uploads its file.

        Raises:
            UploadTooLargeError: the file may not be that large.
            QuotaExceededError: the owner has no room for it.
        """
        limits, storage, photo_id = self._intake.limits, self._intake.storage, new_id()
        if announced.most > limits.max_upload_bytes:
            raise UploadTooLargeError(limits.max_upload_bytes)
        photo = Photo(
            id=photo_id,
            owner_id=owner.id,
            bucket=storage.bucket,
            original_key=f"{photo_prefix(owner.id, photo_id)}original",
            declared_bytes=announced.most,
            declared_sha256=announced.sha256.hex() if announced.sha256 is not None else None,
        )
        await self._intake.begin(session, owner, photo, announced.least)
        terms = UploadTerms(announced.media_type, announced.least, announced.most, announced.sha256)
        return photo, await storage.upload_form(_incoming_key(photo), terms, limits.signed_url_seconds)

    async def complete(self, owner: User, photo_id: uuid.UUID) -> Uploaded:
        """Make a photo of what came by the form. Safe to repeat, and to call twice at once.

        Raises:
            Problem: nothing came, it is refused, or there is no such upload; see `rekindle_api.photos.errors`.
        """
        photo = await self._announced(owner, photo_id)
        if (done := await self._done(owner, photo)) is not None:
            return done
        try:
            async with self._intake.slot(owner):
                return await self._complete(owner, photo)
        except PhotoRefusedError:
            await self._intake.clear(photo, forget=False)
            raise

    async def _complete(self, owner: User, photo: Photo) -> Uploaded:
        try:
            return await self._take(owner, photo)
        except ObjectChangedError:
            raise UploadChangedError from None
        except ObjectMissingError:
            # Nothing came, or a twin of this call was done first.
            done = await self._done(owner, await self._announced(owner, photo.id))
            if done is None:
                raise UploadMissingError from None
            return done

    async def _take(self, owner: User, photo: Photo) -> Uploaded:
        intake, storage = self._intake, self._intake.storage.of(photo.bucket)
        if (came := await storage.head(_incoming_key(photo))) is None:
            raise ObjectMissingError("No file has come.")
        with Spool() as spool:
            await self._read(photo, came, spool)
            await self._settle_on(photo, spool.sha256)
            if (known := await intake.known(owner, spool.sha256.hex())) is not None:
                await intake.clear(photo, forget=False)
                return Uploaded(known, created=False)
            examined = await intake.examine(spool)
        await storage.copy(came, photo.original_key, str(examined.facts["media_type"]))
        reached(Place.UPLOAD_STORED)
        uploaded = await intake.finish(owner, photo, examined)
        if uploaded is not None and uploaded.created:
            with suppress(StorageUnavailableError):  # the sweep deletes what came, too
                await storage.delete_prefix(incoming_prefix(owner.id, photo.id))
            return uploaded
        # The bytes are a photo already, or the upload was given up: then nothing else deletes what was copied.
        await intake.clear(photo, forget=False)
        # Or a twin of this call was faster.
        uploaded = uploaded or await self._done(owner, await self._announced(owner, photo.id))
        if uploaded is None:
            raise UploadStalledError("The upload took too long and was given up.")
        return uploaded

    async def _read(self, photo: Photo, came: ObjectInfo, spool: Spool) -> None:
        most = photo.declared_bytes or 0
        if came.size_bytes > most:
            raise UploadTooLargeError(most)
        async for chunk in self._intake.storage.of(photo.bucket).chunks(came.key, came.etag):
            spool.write(chunk)
        if photo.declared_sha256 is not None and photo.declared_sha256 != spool.sha256.hex():
            raise ChecksumMismatchError

    async def _settle_on(self, photo: Photo, sha256: bytes) -> None:
        """Decide for good which bytes this upload is: the form can be used again while they are completed."""
        async with self._intake.database.transaction() as session:
            if not await PhotoRepository(session).settle_on(photo.id, sha256.hex()):
                raise UploadChangedError
            at_commit(session, Commit.UPLOAD_SETTLED)

    async def _announced(self, owner: User, photo_id: uuid.UUID) -> Photo:
        async with self._intake.database.transaction() as session:
            photo = await PhotoRepository(session).announced(owner.id, photo_id)
        if photo is None:
            raise PhotoNotFoundError
        return photo

    async def _done(self, owner: User, photo: Photo) -> Uploaded | None:
        """Return what an earlier complete call made; None when none was made.

        Raises:
            PhotoNotFoundError: the upload was refused or given up, or its photo was deleted.
        """
        if photo.deleted_at is None:
            return Uploaded(photo, created=False) if photo.status == PhotoStatus.READY else None
        # A pending one with a digest was answered with the photo that its owner had already.
        settled = photo.sha256 if photo.status == PhotoStatus.PENDING else None
        if settled is None or (known := await self._intake.known(owner, settled)) is None:
            raise PhotoNotFoundError
        return Uploaded(known, created=False)


def _incoming_key(photo: Photo) -> str:
    return f"{incoming_prefix(photo.owner_id, photo.id)}file"


def direct_uploads_of(request: Request) -> DirectUploads:
    """Return the application's direct uploads."""
    uploads: DirectUploads = request.app.state.direct_uploads
    return uploads
