"""One pass that deletes what is over: objects first, then rows, so that whatever is killed halfway is found again."""

import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import Attempt
from rekindle_api.attempts.repository import A
from rekindle_api.bridge.answers import Verdict, verdict_on_change
from rekindle_api.bridge.cluster import Cluster, ClusterUnavailableError, ExpiredError, Resources
from rekindle_api.bridge.records import BridgeRecords
from rekindle_api.bridge.resources import KINDS, Kind
from rekindle_api.bridge.retention import RetentionRecords
from rekindle_api.bridge.settings import SweepSettings
from rekindle_api.database import Database
from rekindle_api.faults import Place, reached
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_api.storage import ObjectStorage, StorageUnavailableError

_log = logging.getLogger(__name__)
_BATCH = 100


@dataclass
class Swept:
    """How much was deleted. `failures` counts what is left for the next pass."""

    abandoned: int = 0
    photos: int = 0
    attempts: int = 0
    resources: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return (
            f"swept abandoned_uploads={self.abandoned} photos={self.photos} attempts={self.attempts}"
            f" resources={self.resources} failures={self.failures}"
        )


class Sweep:
    """The pass. It may be killed, repeated, and run twice at once."""

    def __init__(self, database: Database, storage: ObjectStorage, cluster: Cluster, settings: SweepSettings) -> None:
        self._database = database
        self._storage = storage
        self._cluster = cluster
        self._uploading = timedelta(seconds=settings.pending_upload_seconds)
        self._retention = timedelta(seconds=settings.resource_retention_seconds)
        self._quiet = timedelta(seconds=settings.deletion_quiet_seconds)
        self._swept = Swept()

    async def sweep(self) -> Swept:
        """Delete what is over; what cannot be deleted now is logged and counted.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer, so nothing is known.
        """
        swept = self._swept = Swept()
        async with self._database.transaction() as session:
            swept.abandoned = await self._records(session).discard_abandoned()
        for kind in KINDS.values():
            async for attempt in self._attempts(kind):
                swept.attempts += await self._erase_attempt(kind, attempt)
        async for photo in self._photos():
            swept.photos += await self._erase_photo(photo)
        for kind in KINDS.values():
            try:
                await self._delete_resources(self._cluster.of(kind))
            except (ClusterUnavailableError, ExpiredError) as error:
                self._failed("resources", kind.resource.plural, error)
        return swept

    def _records(self, session: AsyncSession) -> RetentionRecords:
        return RetentionRecords(session, self._quiet, self._uploading)

    async def _attempts(self, kind: Kind[A]) -> AsyncIterator[A]:
        last: uuid.UUID | None = None
        while True:
            async with self._database.transaction() as session:
                page = await self._records(session).attempts(kind.table, last, _BATCH)
            for attempt in page:
                yield attempt
                last = attempt.id
            if len(page) < _BATCH:
                return

    async def _photos(self) -> AsyncIterator[Photo]:
        last: uuid.UUID | None = None
        while True:
            async with self._database.transaction() as session:
                page = await self._records(session).photos(last, _BATCH)
            for photo in page:
                yield photo
                last = photo.id
            if len(page) < _BATCH:
                return

    async def _erase_attempt(self, kind: Kind[Any], attempt: Attempt) -> bool:
        try:
            await self._erase_objects(attempt.bucket, f"{attempt.output_prefix}/")
            reached(Place.SWEEP_ATTEMPT_CLEARED)
            async with self._database.transaction() as session:
                await self._records(session).forget_attempt(kind.table, attempt.id)
        except (StorageUnavailableError, SQLAlchemyError) as error:
            return self._failed("attempt", attempt.id, error)
        return True

    async def _erase_photo(self, photo: Photo) -> bool:
        try:
            await self._erase_objects(photo.bucket, photo_prefix(photo.owner_id, photo.id))
            reached(Place.SWEEP_PHOTO_CLEARED)
            async with self._database.transaction() as session:
                await self._records(session).forget_photo(photo.id)
        except (StorageUnavailableError, SQLAlchemyError) as error:
            return self._failed("photo", photo.id, error)
        return True

    async def _erase_objects(self, bucket: str, prefix: str) -> None:
        storage = self._storage.of(bucket)
        await storage.delete_prefix(prefix)
        if await storage.list_keys(prefix):
            raise StorageUnavailableError("Some objects could not be deleted.")

    async def _delete_resources(self, resources: Resources) -> None:
        now, kind = datetime.now(UTC), resources.kind
        async for page in resources.pages():
            found = {key: item for item in page.resources if (key := kind.attempt_of(item)) is not None}
            async with self._database.transaction() as session:
                attempts = await BridgeRecords(session).attempts(kind.table, found)
                animated = await BridgeRecords(session).animated(found)
            for attempt_id, resource in found.items():
                over = _is_over(resource, attempts.get(attempt_id), now - self._retention)
                if over and attempt_id not in animated:
                    await self._delete(resources, resource["metadata"]["name"])

    async def _delete(self, resources: Resources, name: str) -> None:
        answer = await resources.delete(name)
        if verdict_on_change(answer) in {Verdict.DONE, Verdict.ABSENT}:
            self._swept.resources += 1
        else:
            self._failed("resource", name, ClusterUnavailableError(answer.error))

    def _failed(self, what: str, which: object, error: Exception) -> bool:
        self._swept.failures += 1
        _log.warning("not swept", extra={"what": what, "which": which, "error": str(error)})
        return False


def _is_over(resource: dict[str, Any], attempt: Attempt | None, before: datetime) -> bool:
    """Tell whether the attempt was final before then; one without a row, whether the resource was made before then."""
    if attempt is not None:
        return attempt.finished_at is not None and attempt.updated_at <= before
    return datetime.fromisoformat(resource["metadata"]["creationTimestamp"]) <= before
