"""Takes an upload through the service: bytes to S3 as they come, from the body of the request.

A refused upload leaves nothing.
"""

import asyncio
import hashlib

from fastapi import Request

from rekindle_api.database import new_id
from rekindle_api.faults import Place, reached
from rekindle_api.photos.errors import (
    QuotaExceededError,
    UnsupportedImageError,
    UploadStalledError,
    UploadTooLargeError,
)
from rekindle_api.photos.form import UploadForm
from rekindle_api.photos.formats import SNIFFED_BYTES, sniff
from rekindle_api.photos.intake import Intake, Uploaded
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_api.photos.transfer import Transfer
from rekindle_api.storage import StorageUnavailableError
from rekindle_api.users.models import User


class Uploads:
    """All uploads through one process: they share the gate for parts in memory."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._parts_in_memory = asyncio.Semaphore(intake.limits.upload_parts_in_memory)

    async def take(self, owner: User, request: Request) -> Uploaded:
        """Take the photo in the body of a request.

        Raises:
            Problem: when it is refused; see `rekindle_api.photos.errors`.
        """
        form = UploadForm(request, self._intake.limits.max_upload_bytes)
        try:
            async with self._intake.slot(owner):
                return await self._take(owner, form)
        except Exception:
            await form.drain()
            raise

    async def _take(self, owner: User, form: UploadForm) -> Uploaded:
        intake, photo_id = self._intake, new_id()
        photo = Photo(
            id=photo_id,
            owner_id=owner.id,
            bucket=intake.storage.bucket,
            original_key=f"{photo_prefix(owner.id, photo_id)}original",
        )
        try:
            async with intake.database.transaction() as session:
                await intake.begin(session, owner, photo, form.least_file_bytes)
        except QuotaExceededError:
            # Sent again because the first reply was lost, it needs no room.
            if (known := await self._known(owner, form)) is None:
                raise
            return Uploaded(known, created=False)
        created, silent = False, True
        try:
            uploaded = await self._bring_in(owner, photo, form)
            created = uploaded.created
        except (asyncio.CancelledError, StorageUnavailableError):
            # A call to S3 that nobody waits for any more may still write: the row has the sweep look again.
            silent = False
            raise
        finally:
            if not created:
                await intake.clear(photo, forget=silent)
        return uploaded

    async def _known(self, owner: User, form: UploadForm) -> Photo | None:
        """Return the owner's photo with the bytes that come; they are not kept."""
        digest = hashlib.sha256()
        async for piece in form.file():
            digest.update(piece)
        return await self._intake.known(owner, digest.hexdigest())

    async def _bring_in(self, owner: User, photo: Photo, form: UploadForm) -> Uploaded:
        intake = self._intake
        async with Transfer(intake.storage, photo.original_key, self._parts_in_memory) as transfer:
            await self._receive(form, transfer)
            reached(Place.UPLOAD_RECEIVED)
            if (known := await intake.known(owner, transfer.spool.sha256.hex())) is not None:
                return Uploaded(known, created=False)
            examined = await intake.examine(transfer.spool)
            await transfer.commit()
        reached(Place.UPLOAD_STORED)
        if (uploaded := await intake.finish(owner, photo, examined)) is None:
            raise UploadStalledError("The upload took too long and was given up.")
        return uploaded

    async def _receive(self, form: UploadForm, transfer: Transfer) -> None:
        """Pass the file on, refusing what does not begin like a photo before anything is sent."""
        limit, head = self._intake.limits.max_upload_bytes, b""
        async for piece in form.file():
            if transfer.spool.size + len(head) + len(piece) > limit:
                raise UploadTooLargeError(limit)
            if not transfer.media_type:
                head += piece
                if len(head) < SNIFFED_BYTES:
                    continue
                _announce(head, transfer)
                piece, head = head, b""  # noqa: PLW2901 - the head is the first piece
            await transfer.write(piece)
        if not transfer.media_type:
            _announce(head, transfer)
            await transfer.write(head)
        await transfer.end()


def _announce(head: bytes, transfer: Transfer) -> None:
    if (kind := sniff(head)) is None:
        raise UnsupportedImageError
    transfer.media_type = kind.value


def uploads_of(request: Request) -> Uploads:
    """Return the application's uploads."""
    uploads: Uploads = request.app.state.uploads
    return uploads
