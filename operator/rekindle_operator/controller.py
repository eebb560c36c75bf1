"""The loop: take a key, observe, decide, apply; again until nothing is left to do for it now."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rekindle_crds import JobStatus
from rekindle_operator.apply import Applier
from rekindle_operator.cache import Cache
from rekindle_operator.cluster import ApiError
from rekindle_operator.core.decision import CreateChild
from rekindle_operator.core.observed import Observed
from rekindle_operator.core.reconcile import reconcile
from rekindle_operator.engine_reports import EngineReports
from rekindle_operator.journal import Journal
from rekindle_operator.jsonlog import about
from rekindle_operator.line import Line
from rekindle_operator.memory import Key
from rekindle_operator.metrics import Metrics
from rekindle_operator.workqueue import LONGEST_BACKOFF, WorkQueue

logger = logging.getLogger(__name__)

_PASSES = 12
"""A job that still wants something after so many passes in a row waits for its next turn."""
_OUTAGE_BACKOFF = 10.0


class Controller:
    """Workers that bring jobs forward, each key by one worker at a time."""

    def __init__(
        self,
        *,
        cache: Cache,
        line: Line,
        queue: WorkQueue[Key],
        applier: Applier,
        journal: Journal,
        reports: EngineReports,
        metrics: Metrics,
    ) -> None:
        self._cache = cache
        self._line = line
        self._queue = queue
        self._applier = applier
        self._journal = journal
        self._reports = reports
        self._metrics = metrics

    async def work(self) -> None:
        """Work on one key after another until cancelled."""
        while True:
            key = await self._queue.take()
            try:
                with self._metrics.reconcile_seconds.time():
                    await self._bring_forward(key)
            except Exception as error:  # noqa: BLE001 - whatever happened is counted, logged and tried again
                self._failed(key, error)
            else:
                self._queue.succeeded(key)
            finally:
                self._queue.done(key)

    def _failed(self, key: Key, error: Exception) -> None:
        self._metrics.reconcile_errors.inc()
        if isinstance(error, ApiError):
            # A server that is down is asked often enough to go on soon after it is up again.
            longest = _OUTAGE_BACKOFF if error.status == 0 or error.status >= 500 else LONGEST_BACKOFF
            delay, unexpected = self._queue.retry(key, error.retry_after or 0.0, longest), None
        else:
            delay, unexpected = self._queue.retry(key), error
        extra = {**about(*key, self._cache.uid(key)), "error": str(error), "retry_in": round(delay, 1)}
        logger.warning("reconcile failed", extra=extra, exc_info=unexpected)

    async def _bring_forward(self, key: Key) -> None:
        if self._cache.job(key) is None:
            await self._applier.read_ended(key)
        for _ in range(_PASSES):
            observed = self._observe(key)
            if observed is None:
                return
            now = datetime.now(UTC)
            decision = reconcile(observed, now)
            self._cache.memory(key).forget_readings()
            written = await self._applier.write_status(key, observed, decision.status, partial(self._tell, observed))
            if not written and self._stale(key, observed):
                continue
            for action in decision.actions:
                if isinstance(action, CreateChild):
                    self._line.take(key, observed.job, action.engine)
                await self._applier.perform(key, observed, action)
            if not decision.actions and not self._stale(key, observed):
                self._put_away(key, observed, decision.wake_up_at, now)
                return
        self._queue.add_after(key, 1.0)

    def _tell(self, observed: Observed, written: JobStatus) -> None:
        self._journal.tell(observed, written)
        self._reports.note(observed, written)

    def _observe(self, key: Key) -> Observed | None:
        observed = self._cache.observe(key)
        return None if observed is None else replace(observed, turn=self._line.turn(key, observed.job))

    def _put_away(self, key: Key, observed: Observed, wake_up_at: datetime | None, now: datetime) -> None:
        """Nothing is left to do for now: look again later, and keep no job that has ended until then."""
        if wake_up_at is not None:
            self._queue.add_after(key, (wake_up_at - now).total_seconds())
        if observed.status.phase is not None and observed.status.phase.finished:
            self._cache.release(key)

    def _stale(self, key: Key, observed: Observed) -> bool:
        """Whether the job changed or went since it was observed, by our own write or by somebody else's."""
        raw = self._cache.job(key)
        return raw is None or raw["metadata"]["resourceVersion"] != observed.metadata.resource_version


async def run_workers(controller: Controller, count: int) -> None:
    """Run workers until cancelled."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(controller.work(), name=f"worker {number}")
