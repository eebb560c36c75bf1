"""Whether the bridge is alive and ready, and what it counts, over HTTP."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.watch import ResourceWatch
from rekindle_api.database import Database
from rekindle_api.outbox.repository import Backlog, OutboxRepository
from rekindle_api.webhooks import repository as webhooks


class _Server(uvicorn.Server):
    """Leaves signals to the program, which ends the server with everything else."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Health:
    """Answers for one process."""

    def __init__(self, database: Database, watches: Sequence[ResourceWatch], metrics: Metrics) -> None:
        self._database = database
        self._watches = watches
        self._metrics = metrics
        self.application = Starlette(
            routes=[
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
                Route("/metrics", self._export),
            ]
        )

    async def serve(self, host: str, port: int) -> None:
        """Answer until cancelled."""
        server = _Server(
            uvicorn.Config(self.application, host=host, port=port, lifespan="off", access_log=False, log_config=None)
        )
        try:
            await server.serve()
        except asyncio.CancelledError:
            await server.shutdown()
            raise

    async def _alive(self, _request: Request) -> Response:
        """Fail when a watch stands still. A backlog, or a cluster that is down, is no reason to be restarted."""
        for watch in self._watches:
            if watch.stuck:
                return PlainTextResponse(f"the watch of {watch.kind.resource.plural} stands still\n", 503)
        return PlainTextResponse("ok\n")

    async def _ready(self, _request: Request) -> Response:
        for watch in self._watches:
            if not watch.listed:
                return PlainTextResponse(f"{watch.kind.resource.plural} are not listed yet\n", 503)
        if await self._backlog() is None:
            return PlainTextResponse("the database does not answer\n", 503)
        return PlainTextResponse("ok\n")

    async def _export(self, _request: Request) -> Response:
        for watch in self._watches:
            self._metrics.watch_age.labels(watch.kind.attempts).set(watch.age)
        backlog = await self._backlog()
        if backlog is not None:
            self._metrics.outbox_entries.set(backlog.waiting)
            self._metrics.outbox_parked.set(backlog.parked)
            self._metrics.outbox_oldest.set(backlog.oldest_seconds)
        inbox = await self._inbox()
        if inbox is not None:
            self._metrics.webhook_events.set(inbox.waiting)
            self._metrics.webhook_parked.set(inbox.parked)
            self._metrics.webhook_oldest.set(inbox.oldest_seconds)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _inbox(self) -> webhooks.Backlog | None:
        try:
            async with self._database.transaction() as session:
                return await webhooks.WebhookRepository(session).backlog()
        except SQLAlchemyError:
            return None

    async def _backlog(self) -> Backlog | None:
        try:
            async with self._database.transaction() as session:
                return await OutboxRepository(session).backlog()
        except SQLAlchemyError:
            return None
