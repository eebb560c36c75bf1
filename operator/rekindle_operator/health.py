"""The HTTP door for probes and Prometheus: /healthz, /readyz and /metrics."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rekindle_operator.metrics import Metrics


class HealthServer:
    """Answers probes.

    Liveness fails on a dead watch only: never on backlog, and not when the API server is down. A standby is ready when
    it could lead at once.
    """

    def __init__(
        self,
        metrics: Metrics,
        watch_age: Callable[[], float],
        limit: float,
        ready: Callable[[], bool],
        leading: Callable[[], bool],
    ) -> None:
        self._metrics = metrics
        self._watch_age = watch_age
        self._limit = limit
        self._ready = ready
        self._leading = leading
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            OSError: The port is taken.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics_page),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        age = self._watch_age()
        alive = age <= self._limit
        words = "ok" if alive else f"a watch has not talked to the API server for {age:.0f} s"
        return web.Response(text=words + "\n", status=200 if alive else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._ready():
            return web.Response(text="the cache is not complete yet\n", status=503)
        return web.Response(text="leader\n" if self._leading() else "standby\n")

    async def _metrics_page(self, _: web.Request) -> web.Response:
        page = generate_latest(self._metrics.registry)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})
