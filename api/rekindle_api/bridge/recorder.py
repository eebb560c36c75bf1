"""Writes what was seen of resources into attempts. No transaction is open while S3 is asked."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AttemptStatus, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.attempts.states import advance, standing_of
from rekindle_api.attempts.transitions import Observation, decide
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.outcomes import result_missing, vanished
from rekindle_api.bridge.records import BridgeRecords
from rekindle_api.bridge.results import MissingResultError, find_result
from rekindle_api.bridge.sightings import Sighting, Success
from rekindle_api.database import Database
from rekindle_api.storage import ObjectStorage

_log = logging.getLogger(__name__)


class Recorder:
    """The way back: from a resource to its attempt."""

    def __init__(self, database: Database, storage: ObjectStorage, metrics: Metrics) -> None:
        self._database = database
        self._storage = storage
        self._metrics = metrics

    async def record(self, sighting: Sighting) -> None:
        """Write one sighting; late, repeated and foreign ones change nothing.

        Raises:
            StorageUnavailableError: a result could not be looked for.
            sqlalchemy.exc.SQLAlchemyError: the database could not be written.
        """
        if sighting.gone and not sighting.finished:
            await self.settle_vanished(sighting.attempt_id)
            return
        seen = sighting.seen
        if isinstance(seen, Success):
            attempt = await self._open(sighting.attempt_id)
            if attempt is None:
                return
            try:
                seen = await find_result(self._storage, attempt.output_prefix, seen)
            except MissingResultError as missing:
                seen = result_missing(str(missing))
        async with self._database.transaction() as session:
            await self.advance(session, sighting.attempt_id, seen)

    async def settle_vanished(self, attempt_id: uuid.UUID) -> None:
        """End an attempt whose resource was made and is gone. With an order still there, its relay decides.

        Raises:
            StorageUnavailableError, sqlalchemy.exc.SQLAlchemyError: as for `record`.
        """
        async with self._database.transaction() as session:
            if await BridgeRecords(session).is_ordered(attempt_id):
                return
        end = await self.end_without_resource(attempt_id)
        if end is not None:
            async with self._database.transaction() as session:
                await self.advance(session, attempt_id, end)

    async def end_without_resource(self, attempt_id: uuid.UUID) -> Observation | None:
        """Return how an attempt ends that has no resource: by its result, or without one. None when it has ended."""
        attempt = await self._open(attempt_id)
        if attempt is None:
            return None
        try:
            return await find_result(self._storage, attempt.output_prefix, Success())
        except MissingResultError:
            return vanished(cancel_requested=attempt.cancel_requested_at is not None)

    async def advance(self, session: AsyncSession, attempt_id: uuid.UUID, seen: Observation) -> None:
        """Move an attempt in the caller's transaction, and count and log the change."""
        changed = await advance(session, RestoreAttempt, attempt_id, seen)
        if changed is None:
            return
        self._metrics.transitions.labels(changed.status).inc()
        if AttemptStatus(changed.status).finished:
            _log.info(
                "attempt ended",
                extra={"attempt": attempt_id, "status": changed.status, "reason": changed.reason},
            )

    async def news(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Return the sightings that change an open attempt: one query for a whole page of a list."""
        async with self._database.transaction() as session:
            attempts = await BridgeRecords(session).attempts([sighting.attempt_id for sighting in sightings])
        now = datetime.now(UTC)
        return [
            sighting
            for sighting in sightings
            if (attempt := attempts.get(sighting.attempt_id)) is not None and _changes(attempt, sighting, now)
        ]

    async def _open(self, attempt_id: uuid.UUID) -> RestoreAttempt | None:
        async with self._database.transaction() as session:
            attempt = await AttemptRepository(session, RestoreAttempt).for_bridge(attempt_id)
        return None if attempt is None or AttemptStatus(attempt.status).finished else attempt


def _changes(attempt: RestoreAttempt, sighting: Sighting, now: datetime) -> bool:
    if isinstance(sighting.seen, Success):
        return not AttemptStatus(attempt.status).finished
    return decide(standing_of(attempt), sighting.seen, now) is not None
