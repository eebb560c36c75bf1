"""Takes an upload: pending row, bytes to S3 as they come, inspection, thumbnail, ready row.

A refused upload leaves nothing. The pending row is committed first, so whatever a killed process leaves in S3 can be
found; no transaction is open while bytes flow.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from fastapi import Request
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import Database, new_id
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.errors import UnsupportedImageError, UploadsBusyError, UploadStalledError, UploadTooLargeError
from rekindle_api.photos.form import UploadForm
from rekindle_api.photos.formats import SNIFFED_BYTES, ImageKind, sniff
from rekindle_api.photos.inspector import Inspector
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.transfer import Transfer
from rekindle_api.settings import LimitSettings
from rekindle_api.storage import ObjectStorage, StorageUnavailableError
from rekindle_api.users.models import User

_log = logging.getLogger(__name__)
_SLOT_SECONDS = 10.0


@dataclass(frozen=True)
class Uploaded:
    """The photo of an upload. `created` is false when its owner had the same bytes before."""

    photo: Photo
    created: bool
    inspection_seconds: float = 0.0
    """How long it took to decode the photo and make its thumbnail."""


class Uploads:
    """All uploads of one process: they share the gate for parts in memory, and the inspector."""

    def __init__(self, database: Database, storage: ObjectStorage, limits: LimitSettings) -> None:
        self._database = database
        self._storage = storage
        self._limits = limits
        self._inspector = Inspector(limits)
        self._slots = asyncio.Semaphore(limits.uploads_at_once)
        self._parts_in_memory = asyncio.Semaphore(limits.upload_parts_in_memory)
        self._cleaning: set[asyncio.Task[None]] = set()

    async def take(self, owner: User, request: Request) -> Uploaded:
        """Take the photo in the body of a request.

        Raises:
            Problem: when it is refused; see `rekindle_api.photos.errors`.
        """
        form = UploadForm(request, self._limits.max_upload_bytes)
        try:
            async with self._slot():
                return await self._take(owner, form)
        except Exception:
            await form.drain()
            raise

    async def close(self) -> None:
        """Wait until what broken uploads left is gone."""
        await asyncio.gather(*self._cleaning)

    async def _take(self, owner: User, form: UploadForm) -> Uploaded:
        photo = await self._begin(owner)
        finished = False
        try:
            async with Transfer(self._storage, photo.original_key, self._parts_in_memory) as transfer:
                kind = await self._receive(form, transfer)
                sha256 = transfer.sha256.hex()
                if (known := await self._known(owner, sha256)) is not None:
                    return Uploaded(known, created=False)
                started = time.perf_counter()
                inspected = await self._inspector.inspect(transfer.fileno, kind)
                inspection_seconds = time.perf_counter() - started
                await transfer.commit()
            reached(Place.UPLOAD_STORED)
            thumbnail_key = f"{photo_prefix(owner.id, photo.id)}thumbnail.webp"
            await self._storage.put(thumbnail_key, inspected.thumbnail, "image/webp")
            reached(Place.UPLOAD_COMPLETE)
            facts = {
                "thumbnail_key": thumbnail_key,
                "sha256": sha256,
                "size_bytes": transfer.size,
                "media_type": kind.value,
                "width": inspected.width,
                "height": inspected.height,
            }
            uploaded = replace(await self._finish(owner, photo, sha256, facts), inspection_seconds=inspection_seconds)
            finished = uploaded.created
            return uploaded
        finally:
            if not finished:
                await self._in_background(self._remove(photo))

    async def _begin(self, owner: User) -> Photo:
        photo_id = new_id()
        photo = Photo(
            id=photo_id,
            owner_id=owner.id,
            bucket=self._storage.bucket,
            original_key=f"{photo_prefix(owner.id, photo_id)}original",
        )
        async with self._database.transaction() as session:
            await PhotoRepository(session).add(photo)
            at_commit(session, Commit.UPLOAD_BEGUN)
        return photo

    async def _receive(self, form: UploadForm, transfer: Transfer) -> ImageKind:
        """Pass the file on, refusing what does not begin like a photo before anything is sent."""
        head = b""
        kind: ImageKind | None = None
        async for piece in form.file():
            if transfer.size + len(head) + len(piece) > self._limits.max_upload_bytes:
                raise UploadTooLargeError(self._limits.max_upload_bytes)
            if kind is None:
                head += piece
                if len(head) < SNIFFED_BYTES:
                    continue
                kind, piece = self._sniff(head, transfer), head  # noqa: PLW2901 - the head is the first piece
                head = b""
            await transfer.write(piece)
        if kind is None:
            kind = self._sniff(head, transfer)
            await transfer.write(head)
        await transfer.end()
        return kind

    def _sniff(self, head: bytes, transfer: Transfer) -> ImageKind:
        if (kind := sniff(head)) is None:
            raise UnsupportedImageError
        transfer.media_type = kind.value
        return kind

    async def _known(self, owner: User, sha256: str) -> Photo | None:
        async with self._database.transaction() as session:
            return await PhotoRepository(session).with_hash(owner.id, sha256)

    async def _finish(self, owner: User, photo: Photo, sha256: str, facts: Mapping[str, object]) -> Uploaded:
        while True:
            try:
                async with self._database.transaction() as session:
                    ready = await PhotoRepository(session).make_ready(photo.id, facts)
                    if ready is None:
                        raise UploadStalledError("The upload took too long and was given up.")
                    await AuditRepository(session).record("photo.uploaded", owner.id, photo.id)
                    at_commit(session, Commit.UPLOAD_READY)
                return Uploaded(ready, created=True)
            except IntegrityError:
                # Another upload of the same bytes was faster; unless its photo is deleted at this moment, it is ours.
                if (known := await self._known(owner, sha256)) is not None:
                    return Uploaded(known, created=False)

    async def _in_background(self, work: Awaitable[None]) -> None:
        """Do `work` to its end even when the request is cancelled while it runs."""
        task = asyncio.ensure_future(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        await asyncio.shield(task)

    async def _remove(self, photo: Photo) -> None:
        try:
            async with self._database.transaction() as session:
                await PhotoRepository(session).discard(photo.id)
                at_commit(session, Commit.UPLOAD_DISCARDED)
            await self._storage.delete_prefix(photo_prefix(photo.owner_id, photo.id))
            reached(Place.UPLOAD_CLEARED)
            async with self._database.transaction() as session:
                await PhotoRepository(session).forget(photo.id)
        except (StorageUnavailableError, SQLAlchemyError):
            _log.warning("what an upload left will be swept later", extra={"photo_id": str(photo.id)})

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_SLOT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise UploadsBusyError("Many photos are being uploaded. Try again in a moment.") from None
        try:
            yield
        finally:
            self._slots.release()


def uploads_of(request: Request) -> Uploads:
    """Return the application's uploads."""
    uploads: Uploads = request.app.state.uploads
    return uploads
