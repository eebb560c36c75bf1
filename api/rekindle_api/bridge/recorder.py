"""Writes what was seen of resources into attempts. No transaction is open while S3 is asked."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import Attempt, AttemptStatus
from rekindle_api.attempts.repository import A, AttemptRepository
from rekindle_api.attempts.states import advance, standing_of
from rekindle_api.attempts.transitions import Observation, decide
from rekindle_api.bridge import outcomes
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.outcomes import BridgeReason
from rekindle_api.bridge.records import BridgeRecords
from rekindle_api.bridge.resources import Kind
from rekindle_api.bridge.results import MissingResultError, find_result
from rekindle_api.bridge.sightings import Sighting, Success
from rekindle_api.database import Database
from rekindle_api.faults import Place, reached
from rekindle_api.storage import ObjectStorage

_log = logging.getLogger(__name__)


class Recorder:
    """The way back: from a resource to its attempt.

    `grace_seconds` is how long after its resource an attempt's pod may still store a result.
    """

    def __init__(self, database: Database, storage: ObjectStorage, metrics: Metrics, grace_seconds: float) -> None:
        self._database = database
        self._storage = storage
        self._metrics = metrics
        self._grace = timedelta(seconds=grace_seconds)

    async def record(self, sighting: Sighting) -> None:
        """Write one sighting; late, repeated and foreign ones change nothing.

        Raises:
            StorageUnavailableError: a result could not be looked for.
            sqlalchemy.exc.SQLAlchemyError: the database could not be written.
        """
        if sighting.gone and not sighting.finished:
            await self.settle_vanished(sighting.kind, sighting.attempt_id)
            return
        seen = sighting.seen
        if isinstance(seen, Success):
            attempt = await self._open(sighting.kind, sighting.attempt_id)
            if attempt is None:
                return
            try:
                seen = await self._result(attempt, seen)
            except MissingResultError as missing:
                seen = outcomes.result_missing(str(missing))
        async with self._database.transaction() as session:
            await self.advance(session, sighting.kind, sighting.attempt_id, seen)

    async def settle_vanished(self, kind: Kind[Any], attempt_id: uuid.UUID) -> None:
        """Settle an attempt whose resource was made and is gone. With an order still there, its relay decides.

        Without a result it is lost only when its pod has had time to end: until then the row says that the resource
        vanished, and the repair pass comes back to it.

        Raises:
            StorageUnavailableError, sqlalchemy.exc.SQLAlchemyError: as for `record`.
        """
        async with self._database.transaction() as session:
            if await BridgeRecords(session).is_ordered(attempt_id):
                return
        attempt = await self._open(kind, attempt_id)
        if attempt is None:
            return
        seen = await self._without_resource(attempt)
        if seen is None:
            over = attempt.reason == BridgeReason.VANISHED and attempt.updated_at <= datetime.now(UTC) - self._grace
            seen = (outcomes.lost if over else outcomes.vanished)(kind.resource.kind)
        async with self._database.transaction() as session:
            await self.advance(session, kind, attempt_id, seen)

    async def end_of_cancelled(self, kind: Kind[Any], attempt_id: uuid.UUID) -> Observation | None:
        """Return how an attempt ends that was cancelled and has no resource; None when it has ended."""
        attempt = await self._open(kind, attempt_id)
        if attempt is None:
            return None
        return await self._without_resource(attempt) or outcomes.cancelled()

    async def advance(self, session: AsyncSession, kind: Kind[A], attempt_id: uuid.UUID, seen: Observation) -> None:
        """Move an attempt in the caller's transaction, and count and log the change."""
        changed = await advance(session, kind.table, attempt_id, seen)
        if changed is None:
            return
        self._metrics.transitions.labels(kind.attempts, changed.status).inc()
        if AttemptStatus(changed.status).finished:
            _log.info(
                "attempt ended",
                extra={
                    "kind": kind.attempts,
                    "attempt": attempt_id,
                    "status": changed.status,
                    "reason": changed.reason,
                },
            )

    async def news(self, kind: Kind[Any], sightings: Sequence[Sighting]) -> list[Sighting]:
        """Return the sightings that change an open attempt: one query for a whole page of a list."""
        ids = [sighting.attempt_id for sighting in sightings]
        async with self._database.transaction() as session:
            attempts = await BridgeRecords(session).attempts(kind.table, ids)
        now = datetime.now(UTC)
        return [
            sighting
            for sighting in sightings
            if (attempt := attempts.get(sighting.attempt_id)) is not None and _changes(attempt, sighting, now)
        ]

    async def _without_resource(self, attempt: Attempt) -> Observation | None:
        """Return how an attempt ends without its resource: by its result, or by the wish of its user."""
        try:
            return await self._result(attempt, Success())
        except MissingResultError:
            return outcomes.cancelled() if attempt.cancel_requested_at is not None else None

    async def _result(self, attempt: Attempt, success: Success) -> Observation:
        found = await find_result(self._storage.of(attempt.bucket), attempt.output_prefix, success)
        reached(Place.RESULT_FOUND)
        return found

    async def _open(self, kind: Kind[A], attempt_id: uuid.UUID) -> A | None:
        async with self._database.transaction() as session:
            attempt = await AttemptRepository(session, kind.table).for_bridge(attempt_id)
        return None if attempt is None or AttemptStatus(attempt.status).finished else attempt


def _changes(attempt: Attempt, sighting: Sighting, now: datetime) -> bool:
    if isinstance(sighting.seen, Success):
        return not AttemptStatus(attempt.status).finished
    return decide(standing_of(attempt), sighting.seen, now) is not None
