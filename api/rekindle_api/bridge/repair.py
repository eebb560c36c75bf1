"""Compares attempts with resources, both ways, and mends what no event told."""

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import DataError, SQLAlchemyError

from rekindle_api.attempts.models import Attempt, AttemptStatus
from rekindle_api.bridge.cluster import Cluster, ClusterUnavailableError, ExpiredError, Page, Resources
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.recorder import Recorder
from rekindle_api.bridge.records import BridgeRecords
from rekindle_api.bridge.resources import KINDS, Kind
from rekindle_api.bridge.sightings import Sighting, sighting_of
from rekindle_api.database import Database
from rekindle_api.storage import StorageUnavailableError

_log = logging.getLogger(__name__)
# Chosen once; whoever holds it does the pass.
_LOCK_KEY = 0x52454B494E444C46


class Repair:
    """The pass over everything that is open or alive."""

    def __init__(self, database: Database, cluster: Cluster, recorder: Recorder, metrics: Metrics) -> None:
        self._database = database
        self._cluster = cluster
        self._recorder = recorder
        self._metrics = metrics

    async def run(self, interval_seconds: float) -> None:
        """Do a pass at once and then at each interval, unless another process is at it."""
        while True:
            try:
                async with _alone(self._database) as alone:
                    if alone:
                        await self.repair()
            except psycopg.Error as error:
                self._interrupted(error)
            await asyncio.sleep(interval_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter is no secret

    async def repair(self) -> None:
        """Do one pass; what keeps one kind from its turn is counted and keeps no other."""
        for kind in KINDS.values():
            try:
                await self._repair(self._cluster.of(kind))
            except (ClusterUnavailableError, ExpiredError, SQLAlchemyError) as error:
                self._interrupted(error)

    async def _repair(self, resources: Resources) -> None:
        """Do one pass over one kind.

        The open attempts are read before the resources are listed: what was made by then and is not listed is gone.

        Raises:
            ClusterUnavailableError, ExpiredError, sqlalchemy.exc.SQLAlchemyError: the pass could not be ended; what it
                did so far is right.
        """
        kind = resources.kind
        async with self._database.transaction() as session:
            missing = await BridgeRecords(session).created(kind.table)
        async for page in resources.pages():
            sightings = _sightings(kind, page)
            missing.difference_update(sightings)
            for news in await self._recorder.news(kind, list(sightings.values())):
                await self._mend(news.attempt_id, self._recorder.record(news))
            await self._cancel_unwanted(resources, sightings)
        for attempt_id in missing:
            _log.warning("resource vanished", extra={"kind": kind.attempts, "attempt": attempt_id})
            await self._mend(attempt_id, self._recorder.settle_vanished(kind, attempt_id))

    async def _mend(self, attempt_id: uuid.UUID, mending: Awaitable[None]) -> None:
        """Mend one attempt; what cannot be read or written of it does not keep the others from their turn."""
        try:
            await mending
        except (StorageUnavailableError, DataError) as error:
            self._metrics.failures.labels("repair").inc()
            _log.warning("attempt not mended", extra={"attempt": attempt_id, "error": type(error).__name__})

    def _interrupted(self, error: Exception) -> None:
        self._metrics.failures.labels("repair").inc()
        _log.warning("repair pass interrupted", extra={"error": type(error).__name__})

    async def _cancel_unwanted(self, resources: Resources, sightings: dict[uuid.UUID, Sighting]) -> None:
        """Cancel resources that nobody waits for: one can be made after its attempt was settled without it.

        An animation whose restoration ended before there was a RestoreJob is another: it would wait for that.
        """
        working = {key: seen for key, seen in sightings.items() if not (seen.finished or seen.cancelling)}
        async with self._database.transaction() as session:
            attempts = await BridgeRecords(session).attempts(resources.kind.table, working)
        for attempt_id, attempt in attempts.items():
            if _unwanted(attempt):
                _log.warning("resource cancelled", extra={"attempt": attempt_id, "status": attempt.status})
                await resources.cancel(working[attempt_id].name)


def _sightings(kind: Kind[Any], page: Page) -> dict[uuid.UUID, Sighting]:
    seen = (sighting_of(kind, resource) for resource in page.resources)
    return {sighting.attempt_id: sighting for sighting in seen if sighting is not None}


def _unwanted(attempt: Attempt) -> bool:
    return AttemptStatus(attempt.status).finished or attempt.cancel_requested_at is not None


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[bool]:
    """Tell whether this process has the lock of the pass, and keep it for the block. A dead process has it no more."""
    async with await database.connect("rekindle-api-repair") as connection:
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_KEY])).fetchone()
        yield row is not None and bool(row[0])
