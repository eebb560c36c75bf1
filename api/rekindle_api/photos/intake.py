"""What every upload goes through, whichever way its bytes come: room, inspection, thumbnail, ready row.

The pending row is committed first, so whatever a killed process leaves in S3 can be found; no transaction is open while
bytes flow.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakValueDictionary

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import Database
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.errors import TooManyUploadsError, UnsupportedImageError, UploadsBusyError
from rekindle_api.photos.inspector import Inspector
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_api.photos.quota import refuse_beyond, take_room
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.spool import Spool
from rekindle_api.problems import Problem
from rekindle_api.settings import LimitSettings, PlanSettings
from rekindle_api.storage import ObjectStorage, StorageUnavailableError
from rekindle_api.users.models import User

_log = logging.getLogger(__name__)
_SLOT_SECONDS = 60.0
UPLOADS_OF_ONE_ACCOUNT = 4
"""Uploads of one account that a process takes at once, so that slow ones keep no slot from the others."""


@dataclass(frozen=True)
class Uploaded:
    """The photo of an upload. `created` is false when its owner had the same bytes before."""

    photo: Photo
    created: bool
    inspection_seconds: float = 0.0
    """How long it took to decode the photo and make its thumbnail."""


@dataclass(frozen=True)
class Examined:
    """What is known of a photo whose bytes were all read and decoded."""

    facts: Mapping[str, object]
    """Columns of its row."""
    size: int
    sha256: str
    thumbnail: bytes
    seconds: float


class Intake:
    """All uploads of one process: they share the slots, the inspector and the plans."""

    def __init__(self, database: Database, storage: ObjectStorage, limits: LimitSettings, plans: PlanSettings) -> None:
        self.database = database
        self.storage = storage
        self.limits = limits
        self._plans = plans
        self._inspector = Inspector(limits)
        self._slots = asyncio.Semaphore(limits.uploads_at_once)
        # An account's own slots are there as long as one of its uploads is.
        self._own_slots: WeakValueDictionary[uuid.UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._cleaning: set[asyncio.Task[None]] = set()

    async def begin(self, session: AsyncSession, owner: User, photo: Photo, arriving: int) -> None:
        """Add a pending photo of `arriving` bytes, or of as many as are known of.

        Raises:
            QuotaExceededError: the owner has no room for them.
        """
        await refuse_beyond(session, self._plans.plan(owner.tier), owner.id, arriving)
        await PhotoRepository(session).add(photo)
        at_commit(session, Commit.UPLOAD_BEGUN)

    async def known(self, owner: User, sha256: str) -> Photo | None:
        """Return the owner's photo with these bytes; that they came again counts as use of it."""
        days = self._plans.plan(owner.tier).retention_days
        async with self.database.transaction() as session:
            photos = PhotoRepository(session)
            if (photo := await photos.with_hash(owner.id, sha256)) is not None and days is not None:
                await photos.prolong(photo, timedelta(days=days))
            return photo

    async def examine(self, spool: Spool) -> Examined:
        """Decode the photo in a spool.

        Raises:
            PhotoRefusedError: it is none that is taken.
        """
        if (kind := spool.kind) is None:
            raise UnsupportedImageError
        started = time.perf_counter()
        inspected = await self._inspector.inspect(spool.fileno, kind)
        sha256 = spool.sha256.hex()
        facts = {
            "sha256": sha256,
            "size_bytes": spool.size,
            "media_type": kind.value,
            "width": inspected.width,
            "height": inspected.height,
        }
        return Examined(facts, spool.size, sha256, inspected.thumbnail, time.perf_counter() - started)

    async def finish(self, owner: User, photo: Photo, examined: Examined) -> Uploaded | None:
        """Store the thumbnail of a photo whose original is stored, and make it count; None when it was given up.

        Raises:
            QuotaExceededError: the owner's room was used up meanwhile.
        """
        thumbnail_key = f"{photo_prefix(owner.id, photo.id)}thumbnail.webp"
        await self.storage.of(photo.bucket).put(thumbnail_key, examined.thumbnail, "image/webp")
        reached(Place.UPLOAD_COMPLETE)
        while True:
            try:
                async with self.database.transaction() as session:
                    photos = PhotoRepository(session)
                    if not await photos.hold_pending(photo.id):
                        return None
                    plan = await take_room(session, self._plans, owner.id, examined.size)
                    days = plan.retention_days
                    kept = {"expires_at": None if days is None else func.now() + timedelta(days=days)}
                    facts = {**examined.facts, **kept, "thumbnail_key": thumbnail_key}
                    ready = await photos.make_ready(photo.id, facts)
                    await AuditRepository(session).record("photo.uploaded", owner.id, photo.id)
                    at_commit(session, Commit.UPLOAD_READY)
                return Uploaded(ready, created=True, inspection_seconds=examined.seconds)
            except IntegrityError:
                # Another upload of the same bytes was faster; unless its photo is deleted at this moment, it is ours.
                if (known := await self.known(owner, examined.sha256)) is not None:
                    return Uploaded(known, created=False)

    async def clear(self, photo: Photo, *, forget: bool) -> None:
        """Delete what an upload left that is no photo, also when the request is cancelled while this runs.

        With `forget` its row goes too; without, the sweep looks again and deletes it once nothing can come any more.
        """
        task = asyncio.ensure_future(self._clear(photo, forget=forget))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Wait until what broken uploads left is gone."""
        await asyncio.gather(*self._cleaning)

    @asynccontextmanager
    async def slot(self, owner: User) -> AsyncIterator[None]:
        """Be one of the uploads of this process, and of the owner, for the length of the block.

        Raises:
            TooManyUploadsError: the owner has as many as it takes of one, for some time already.
            UploadsBusyError: there are as many as it takes of all, for some time already.
        """
        own = self._own_slots.setdefault(owner.id, asyncio.Semaphore(UPLOADS_OF_ONE_ACCOUNT))
        theirs = TooManyUploadsError(f"{UPLOADS_OF_ONE_ACCOUNT} uploads of this account are under way. Wait for one.")
        all_ = UploadsBusyError("Many photos are being uploaded. Try again in a moment.")
        async with _held(own, theirs), _held(self._slots, all_):
            yield

    async def _clear(self, photo: Photo, *, forget: bool) -> None:
        try:
            async with self.database.transaction() as session:
                photos = PhotoRepository(session)
                # One that somebody else hid, or swept already, may have been written to since.
                discarded = await photos.discard(photo.id)
                kept = not discarded and await photos.get(photo.owner_id, photo.id) is not None
                at_commit(session, Commit.UPLOAD_DISCARDED)
            if kept:
                return
            await self.storage.of(photo.bucket).delete_prefix(photo_prefix(photo.owner_id, photo.id))
            reached(Place.UPLOAD_CLEARED)
            if forget:
                async with self.database.transaction() as session:
                    await PhotoRepository(session).forget(photo.id)
        except (StorageUnavailableError, SQLAlchemyError):
            _log.warning("what an upload left will be swept later", extra={"photo_id": str(photo.id)})


@asynccontextmanager
async def _held(slots: asyncio.Semaphore, refusal: Problem) -> AsyncIterator[None]:
    """Hold one of some slots for the length of the block; raise `refusal` when none gets free for a while."""
    try:
        async with asyncio.timeout(_SLOT_SECONDS):
            await slots.acquire()
    except TimeoutError:
        raise refusal from None
    try:
        yield
    finally:
        slots.release()
