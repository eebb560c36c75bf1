"""The running operator: its parts, put together, started and stopped."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from rekindle_operator.apply import Applier
from rekindle_operator.budget import Budget
from rekindle_operator.cache import Cache
from rekindle_operator.census import Census
from rekindle_operator.cluster import Cluster, OpenGate, configuration, wait_until_answering
from rekindle_operator.controller import Controller, run_workers
from rekindle_operator.core.observed import Policy
from rekindle_operator.emitter import Emitter
from rekindle_operator.ended import Ended
from rekindle_operator.engine_reports import EngineReports
from rekindle_operator.health import HealthServer
from rekindle_operator.journal import Journal
from rekindle_operator.lease import Leadership, Terms
from rekindle_operator.line import Line
from rekindle_operator.memory import Key
from rekindle_operator.metrics import Metrics
from rekindle_operator.poller import Poller
from rekindle_operator.preflight import missing
from rekindle_operator.resources import Resource
from rekindle_operator.resync import Resync
from rekindle_operator.settings import Settings
from rekindle_operator.watch import Watch
from rekindle_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

_PATIENCE = 60.0
"""How long the API server may take to answer for the first time."""
_LATE_RESOURCES = 10.0
"""How long an API server that answers may take to know of the custom resources and of our permissions."""
_LINE_PERIOD = 0.1
_LAST_EVENTS = 1.0
_PAUSE = 5.0


class CannotStart(Exception):  # noqa: N818 - it names a state, as the message does
    """Something that the operator needs of the cluster is missing."""


async def check(settings: Settings) -> list[str]:
    """Return a sentence for everything that the operator needs and the cluster lacks."""
    cluster = Cluster(await configuration(settings.kubeconfig), Metrics(), OpenGate(), settings.request_timeout_seconds)
    try:
        await wait_until_answering(cluster, _PATIENCE)
        return await missing(cluster, settings.namespaces, settings.lease_namespace)
    finally:
        await cluster.close()


async def serve(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        CannotStart: A permission or a field is missing.
        ClusterUnconfigured: There is no kubeconfig and no service account.
        ApiError: The API server does not answer.
    """
    await _until_complete(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    operator = await Operator.start(settings)
    try:
        await operator.wait(stop)
    finally:
        await operator.stop()


async def _until_complete(settings: Settings) -> None:
    """Wait until nothing is missing: an API server that has just started does not know all of its resources yet.

    Raises:
        CannotStart: A permission or a field is still missing.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + _LATE_RESOURCES
    while lacking := await check(settings):
        if clock() >= deadline:
            raise CannotStart("missing: " + "; ".join(lacking))
        logger.info("cluster lacks something", extra={"missing": lacking})
        await asyncio.sleep(1)


class Operator:
    """All parts of a running operator."""

    def __init__(self, settings: Settings, metrics: Metrics, connection: Any) -> None:  # noqa: ANN401 - untyped client
        policy = Policy(
            frozenset(settings.allowed_buckets), frozenset(settings.allowed_service_accounts), settings.max_running
        )
        budget = Budget(settings.progress_requests_per_second)
        self._settings = settings
        self._cache = Cache(policy)
        # What makes a job run goes before what tells of it.
        self._queue: WorkQueue[Key] = WorkQueue(self._cache.is_new)
        # Renewals pass a door of their own: no other request holds them up, and the gate that they open is not theirs.
        self._registry = Cluster(connection, Metrics(), OpenGate(), settings.renew_deadline_seconds / 2)
        self._leadership = Leadership(self._registry, _terms(settings))
        margin = settings.lease_duration_seconds - settings.renew_deadline_seconds
        self._cluster = Cluster(connection, metrics, self._leadership, settings.request_timeout_seconds, margin)
        self._emitter = Emitter(self._cluster, metrics)
        self._resync = Resync(self._cluster, self._cache, self._queue, settings.namespaces, settings.resync_seconds)
        self._poller = Poller(self._cluster, self._cache, self._queue, budget)
        applier = Applier(self._cluster, self._cache, budget)
        journal = Journal(self._emitter, metrics)
        self._line = Line(self._cache)
        self._reports = EngineReports(self._cluster, self._cache)
        self._ended = Ended(self._cluster, self._cache, self._queue, settings.namespaces, settings.ended_period_seconds)
        self._controller = Controller(
            cache=self._cache,
            line=self._line,
            queue=self._queue,
            applier=applier,
            journal=journal,
            reports=self._reports,
            metrics=metrics,
        )
        sinks = (self._observed, self._resync.ask)
        self._watch = Watch(connection, settings.namespaces, metrics, *sinks, watch_seconds=settings.watch_seconds)
        age = self._watch.streams.age
        self._health = HealthServer(
            metrics, age, settings.watch_limit_seconds, self._resync.complete.is_set, lambda: self._leadership.leading
        )
        metrics.gauge("rekindle_leader", "1 for the operator that acts, 0 for a standby.", self._is_leader)
        metrics.gauge("rekindle_queue_depth", "Jobs that wait for a worker.", lambda: len(self._queue))
        metrics.gauge("rekindle_watch_age_seconds", "Since the least recent watch was heard of.", age)
        Census(self._cache).expose(metrics)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(cls, settings: Settings) -> "Operator":
        """Start all parts; once the cache is complete it stands by to lead."""
        operator = cls(settings, Metrics(), await configuration(settings.kubeconfig))
        port = await operator._health.start(settings.host, settings.port)
        operator._watch.start()
        parts = {
            "resync": _for_ever("resync", operator._resync.run),
            "leadership": operator._stand_by(),
        }
        operator._tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
        logger.info("operator started", extra={"namespaces": settings.namespaces, "port": port})
        return operator

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until asked to stop, or until a part ends, which none should.

        Raises:
            Exception: What ended the part.
        """
        asked = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([asked, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for task in done - {asked}:
            task.result()

    async def stop(self) -> None:
        """Stop all parts: first what acts, then the Lease is given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._watch.stop()
        await self._health.stop()
        await self._cluster.close()
        await self._registry.close()
        logger.info("operator stopped")

    async def _stand_by(self) -> None:
        self._queue.close()
        await self._resync.complete.wait()
        logger.info("cache complete")
        await self._leadership.run(self._act)

    async def _act(self) -> None:
        """Do all that only a leader does, until cancelled.

        It begins as a process that has just started would: with nothing remembered, and with a cache that has all that
        an earlier leader wrote, whatever the watches are late with.
        """
        await self._resync.refresh()
        self._cache.forget_memories()
        self._line.forget()
        self._reports.forget()
        self._queue.open(key for key, _ in self._cache.jobs())
        parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "workers": lambda: run_workers(self._controller, self._settings.workers),
            "line": self._admit,
            "progress": self._poller.run,
            "engine reports": self._reports.run,
            "ended jobs": self._ended.run,
        }
        events = asyncio.create_task(_for_ever("events", self._emitter.run))
        try:
            async with asyncio.TaskGroup() as group:
                for name, run in parts.items():
                    group.create_task(_for_ever(name, run), name=name)
        finally:
            self._queue.close()
            await self._cluster.settle()
            await self._post_last_events()
            events.cancel()
            await asyncio.wait([events])
            await self._cluster.settle()

    async def _admit(self) -> None:
        """Ask who may run now, for many changes at once: a long line is dear to work out."""
        while True:
            for namespace in self._settings.namespaces:
                for key in self._line.admitted(namespace):
                    self._queue.add(key)
            await asyncio.sleep(_LINE_PERIOD)

    async def _post_last_events(self) -> None:
        try:
            async with asyncio.timeout(_LAST_EVENTS):
                await self._emitter.flush()
        except TimeoutError:
            logger.warning("events left behind")

    def _is_leader(self) -> float:
        return float(self._leadership.leading)

    def _observed(self, resource: Resource, raw: dict[str, Any], deleted: bool) -> None:
        for key in self._cache.apply(resource, raw, deleted=deleted):
            self._queue.add(key)


async def _for_ever(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part until cancelled: what one job or one answer brings about must not end it for all others."""
    while True:
        try:
            await run()
        except Exception:
            logger.exception("a part of the operator failed and begins anew", extra={"part": name})
        await asyncio.sleep(_PAUSE)


def _terms(settings: Settings) -> Terms:
    return Terms(
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=settings.identity,
        duration=settings.lease_duration_seconds,
        renew_deadline=settings.renew_deadline_seconds,
        retry_period=settings.retry_period_seconds,
        owner=settings.service_account,
    )
