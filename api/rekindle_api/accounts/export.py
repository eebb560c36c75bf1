"""Everything that is known of a user, as one archive: the records, the photos, and what was made of them."""

import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from rekindle_api.accounts.archive import StreamedArchive
from rekindle_api.accounts.belongings import Belongings
from rekindle_api.attempts.models import Attempt, RestoreAttempt
from rekindle_api.attempts.replies import result_download
from rekindle_api.billing.models import Payment, Subscription
from rekindle_api.credits.models import CreditEntry, CreditLot
from rekindle_api.database import Base, Database
from rekindle_api.photos.models import Photo
from rekindle_api.photos.replies import original_download
from rekindle_api.storage import Download, ObjectChangedError, ObjectMissingError, ObjectStorage

_PHOTO = ("id", "created_at", "updated_at", "expires_at", "sha256", "size_bytes", "media_type", "width", "height")
_ATTEMPT = (
    *("id", "status", "model", "requested", "reason", "message", "warnings", "unfulfilled", "credits_charged"),
    *("created_at", "started_at", "finished_at", "expires_at"),
)
_PAYMENT = ("id", "description", "amount", "amount_refunded", "currency", "credits", "paid_at")
_SUBSCRIPTION = (
    *("id", "status", "tier", "started_at", "ended_at", "cancel_at_period_end"),
    *("current_period_start", "current_period_end"),
)
_LOT = ("id", "source", "granted", "remaining", "held", "expires_at", "created_at")
_ENTRY = ("id", "kind", "amount", "description", "lot_id", "attempt_id", "created_at")


class Export:
    """One user's archive. No transaction is open while its bytes flow."""

    def __init__(
        self,
        database: Database,
        storage: ObjectStorage,
        user_id: uuid.UUID,
        profile: Mapping[str, Any],
        *,
        marked: bool,
    ) -> None:
        """Take what the archive is made of; `marked` is the watermark rule of the user's tier."""
        self._belongings = Belongings(database, user_id)
        self._storage = storage
        self._profile = profile
        self._marked = marked
        self._archive = StreamedArchive()
        self._now = datetime.now(UTC)
        self._files = 0
        self._missing: list[str] = []

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the archive.

        Raises:
            StorageUnavailableError: S3 does not answer; the archive ends before its end.
        """
        archive, mine, now = self._archive, self._belongings, self._now
        yield archive.value("profile.json", now, self._profile)
        listed: dict[str, dict[str, AsyncIterable[Mapping[str, Any]]]] = {
            "photos.json": {"photos": self._photos()},
            "jobs.json": {"restorations": self._jobs(restored=True), "animations": self._jobs(restored=False)},
            "payments.json": {
                "payments": _facts(mine.rows(Payment, Payment.user_id), _PAYMENT),
                "subscriptions": _facts(mine.rows(Subscription, Subscription.user_id), _SUBSCRIPTION),
            },
            "credits.json": {
                "lots": _facts(mine.rows(CreditLot, CreditLot.user_id), _LOT),
                "entries": _facts(mine.rows(CreditEntry, CreditEntry.user_id), _ENTRY),
            },
        }
        for name, parts in listed.items():
            async for piece in archive.lists(name, now, parts):
                yield piece
        async for photo in mine.photos():
            for download in (original_download(photo), *await self._results(photo)):
                async for piece in self._file(_path(photo.id, download), download, photo.created_at):
                    yield piece
        yield archive.value("manifest.json", now, {"made_at": now, "files": self._files, "missing": self._missing})
        yield archive.end()

    async def _photos(self) -> AsyncIterator[Mapping[str, Any]]:
        async for photo in self._belongings.photos():
            noted = {"metadata": photo.user_metadata, "file": _path(photo.id, original_download(photo))}
            yield _fact(photo, _PHOTO) | noted

    async def _jobs(self, *, restored: bool) -> AsyncIterator[Mapping[str, Any]]:
        async for attempt in self._belongings.attempts(restored=restored):
            download = result_download(attempt, watermarked=self._marked)
            file = _path(attempt.job_id, download) if download is not None else None
            source = "source_restore_id" if isinstance(attempt, RestoreAttempt) else "restore_id"
            yield _fact(attempt, (*_ATTEMPT, source)) | {"photo_id": attempt.job_id, "file": file}

    async def _results(self, photo: Photo) -> list[Download]:
        made: list[Attempt] = await self._belongings.attempts_on(photo.id)
        found = (result_download(attempt, watermarked=self._marked) for attempt in made)
        return [download for download in found if download is not None]

    async def _file(self, name: str, download: Download, at: datetime) -> AsyncIterator[bytes]:
        """Add one object; one that is gone is named in the manifest instead."""
        storage = self._storage.of(download.bucket or self._storage.bucket)
        if (found := await storage.head(download.key)) is None:
            self._missing.append(name)
            return
        async with aclosing(storage.chunks(download.key, found.etag)) as chunks:
            try:
                first = await anext(chunks, b"")
            except (ObjectMissingError, ObjectChangedError):
                self._missing.append(name)
                return
            async for piece in self._archive.file(name, found.size_bytes, at, _after(first, chunks)):
                yield piece
        self._files += 1


def _path(photo_id: uuid.UUID, download: Download) -> str:
    return f"photos/{photo_id}/{download.file_name}"


def _fact(row: Base, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: getattr(row, column) for column in columns}


async def _facts(rows: AsyncIterable[Base], columns: tuple[str, ...]) -> AsyncIterator[dict[str, Any]]:
    async for row in rows:
        yield _fact(row, columns)


async def _after(first: bytes, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
