"""Carries out what the outbox asks for.

An order belongs to one process for a while, so that no transaction waits for Kubernetes.

A process may die after any line: the order is still there, another takes it when the claim ends, and finds by the
resource's name what was done already.
"""

import asyncio
import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.attempts.models import Attempt, AttemptStatus
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.attempts.transitions import Observation
from rekindle_api.bridge.answers import Answer, Verdict, backoff, verdict_on_change, verdict_on_creation
from rekindle_api.bridge.cluster import Cluster
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.outcomes import invalid, name_taken, never_started
from rekindle_api.bridge.recorder import Recorder
from rekindle_api.bridge.resources import KINDS, JobRules, Kind
from rekindle_api.bridge.settings import BridgeSettings
from rekindle_api.database import Database
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.outbox.models import AttemptKind, Desired, OutboxEntry
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_api.storage import StorageUnavailableError

_log = logging.getLogger(__name__)
# However long Kubernetes was away, so many refusals are borne before an order is set aside.
_REFUSALS_LEFT = 4
_STOP_SECONDS = 2.0


class Relay:
    """The way there: from an order in the outbox to the resource."""

    def __init__(
        self, database: Database, cluster: Cluster, recorder: Recorder, metrics: Metrics, settings: BridgeSettings
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._recorder = recorder
        self._metrics = metrics
        self._settings = settings
        self._rules = JobRules(
            settings.start_deadline_seconds, settings.active_deadline_seconds, settings.watermark_text
        )
        self._running: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Carry out orders for ever, several at a time; when cancelled, end those under way."""
        resume_at = 0.0
        try:
            while True:
                if (now := time.monotonic()) >= resume_at:
                    await self._resume_parked()
                    resume_at = now + self._settings.bridge_resume_seconds
                self.wake.clear()
                for entry in await self._claim():
                    task = asyncio.create_task(self.carry_out(entry))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                try:
                    async with asyncio.timeout(self._settings.bridge_poll_seconds):
                        await self.wake.wait()
                except TimeoutError:
                    continue
        finally:
            await self._stop()

    async def carry_out(self, entry: OutboxEntry) -> None:
        """Do what one claimed order asks for. After an error it is taken again when its claim ends."""
        kind = KINDS[AttemptKind(entry.kind)]
        try:
            if entry.desired == Desired.CREATE:
                await self._create(kind, entry)
            else:
                await self._cancel(kind, entry)
        except (SQLAlchemyError, StorageUnavailableError) as error:
            self._metrics.failures.labels("relay").inc()
            _log.warning(
                "order interrupted",
                extra={"attempt": entry.attempt_id, "desired": entry.desired, "error": type(error).__name__},
            )

    async def _create(self, kind: Kind[Any], entry: OutboxEntry) -> None:
        async with self._database.transaction() as session:
            attempt = await AttemptRepository(session, kind.table).for_bridge(entry.attempt_id)
        if attempt is None or AttemptStatus(attempt.status).finished:
            await self._finish(entry, "moot")
            return
        if self._is_overdue(attempt):
            await self._adopt(kind, entry, overdue=True)
            return
        try:
            resource = kind.resource_of(attempt, self._cluster.namespace, self._rules)
        except ValidationError as error:
            await self._finish(entry, "invalid", invalid(_first(error)))
            return
        answer = await self._cluster.of(kind).create(resource)
        reached(Place.RESOURCE_MADE)
        match verdict_on_creation(answer):
            case Verdict.DONE:
                await self._finish(entry, "done")
            case Verdict.EXISTS:
                await self._adopt(kind, entry)
            case Verdict.INVALID:
                await self._finish(entry, "invalid", invalid(answer.message))
            case verdict:
                await self._try_again(entry, answer, verdict)

    def _is_overdue(self, attempt: Attempt) -> bool:
        """Tell whether the resource of an attempt would have failed by now for not having started."""
        return attempt.created_at <= datetime.now(UTC) - timedelta(seconds=self._rules.start_seconds)

    async def _adopt(self, kind: Kind[Any], entry: OutboxEntry, *, overdue: bool = False) -> None:
        """Look who has the name: ours from an earlier try, or somebody else's. An overdue one is not made any more."""
        name = kind.name_of(entry.attempt_id)
        answer = await self._cluster.of(kind).get(name)
        if overdue and verdict_on_change(answer) is Verdict.ABSENT:
            await self._finish(entry, "overdue", never_started(kind.resource.kind, entry.last_error))
        elif answer.resource is None:
            # A conflict that was none of the name, such as one about a quota, is gone at the next try.
            await self._try_again(entry, answer, Verdict.UNAVAILABLE)
        elif kind.attempt_of(answer.resource) == entry.attempt_id:
            await self._finish(entry, "done")
        else:
            await self._finish(entry, "invalid", name_taken(kind.resource.kind, name))

    async def _cancel(self, kind: Kind[Any], entry: OutboxEntry) -> None:
        answer = await self._cluster.of(kind).cancel(kind.name_of(entry.attempt_id))
        reached(Place.RESOURCE_CANCELLED)
        match verdict_on_change(answer):
            case Verdict.DONE:
                await self._finish(entry, "done")
            case Verdict.ABSENT:
                await self._finish(entry, "moot", await self._recorder.end_of_cancelled(kind, entry.attempt_id))
            case verdict:
                await self._try_again(entry, answer, verdict)

    async def _claim(self) -> list[OutboxEntry]:
        free = self._settings.bridge_orders_at_once - len(self._running)
        if free <= 0:
            return []
        try:
            async with self._database.transaction() as session:
                claimed = await OutboxRepository(session).claim(free, self._settings.claim)
                if claimed:
                    at_commit(session, Commit.ORDER_CLAIMED)
        except SQLAlchemyError as error:
            self._metrics.failures.labels("relay").inc()
            _log.warning("outbox not readable", extra={"error": type(error).__name__})
            return []
        return claimed

    async def _finish(self, entry: OutboxEntry, outcome: str, end: Observation | None = None) -> None:
        """Delete the order, and end its attempt in the same transaction."""
        async with self._database.transaction() as session:
            if end is not None:
                await self._recorder.advance(session, KINDS[AttemptKind(entry.kind)], entry.attempt_id, end)
            await OutboxRepository(session).finish(entry)
            at_commit(session, Commit.ORDER_FINISHED)
        self._count(entry, outcome)

    async def _try_again(self, entry: OutboxEntry, answer: Answer, verdict: Verdict) -> None:
        limit = self._settings.bridge_park_after
        if verdict is Verdict.REFUSED and entry.attempts >= limit:
            await self._park(entry, answer.error)
            return
        chance = random.random()  # noqa: S311 - jitter is no secret
        delay = backoff(
            entry.attempts, self._settings.bridge_backoff_seconds, self._settings.bridge_backoff_limit_seconds, chance
        )
        tries = entry.attempts if verdict is Verdict.REFUSED else min(entry.attempts, max(1, limit - _REFUSALS_LEFT))
        async with self._database.transaction() as session:
            await OutboxRepository(session).postpone(entry, timedelta(seconds=delay), answer.error, tries)
            at_commit(session, Commit.ORDER_POSTPONED)
        self._count(entry, "postponed")
        _log.warning(
            "order postponed",
            extra={
                "attempt": entry.attempt_id,
                "desired": entry.desired,
                "seconds": round(delay, 1),
                "error": answer.error,
            },
        )

    async def _park(self, entry: OutboxEntry, error: str) -> None:
        async with self._database.transaction() as session:
            await OutboxRepository(session).park(entry, error)
            at_commit(session, Commit.ORDER_PARKED)
        self._count(entry, "parked")
        _log.error(
            "order parked: mend the cause; it is tried again in a while, or when the bridge starts",
            extra={
                "attempt": entry.attempt_id,
                "desired": entry.desired,
                "error": error,
                "seconds": self._settings.bridge_resume_seconds,
            },
        )

    async def _resume_parked(self) -> None:
        """Give each parked order one more try: somebody may have mended the cause, and deadlines pass."""
        try:
            async with self._database.transaction() as session:
                resumed = await OutboxRepository(session).resume_parked()
        except SQLAlchemyError as error:
            _log.warning("parked orders not resumed", extra={"error": type(error).__name__})
            return
        if resumed:
            _log.info("parked orders resumed", extra={"orders": resumed})

    async def _stop(self) -> None:
        """Give orders under way a moment; one that is cut off is taken again when its claim ends."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._metrics.failures.labels("relay").inc()
            _log.error("order broke off; it is taken again when its claim ends", exc_info=error)

    def _count(self, entry: OutboxEntry, outcome: str) -> None:
        self._metrics.orders.labels(entry.kind, entry.desired, outcome).inc()


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
