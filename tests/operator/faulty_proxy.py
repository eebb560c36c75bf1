"""A way to the API server that can be made to fail: it refuses, ends, holds back or goes silent as a test asks."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from tests.loops import LoopThread

from rekindle_dev.controlplane.certificates import Authority

Asked = Callable[[web.Request], bool]
_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding"}


@dataclass(frozen=True)
class Visit:
    """One request, when it came, and what was answered."""

    method: str
    path: str
    query: str
    body: bytes
    came_at: float
    status: int
    answered_at: float


@dataclass
class Refusal:
    """What is answered, so many times, to requests that are asked for."""

    asked: Asked
    response: Callable[[], web.Response]
    times: int


def watches(request: web.Request) -> bool:
    return request.query.get("watch") == "true"


class FaultyProxy:
    """Runs in a thread of its own; its methods may be called from any thread. It is closed after its clients."""

    def __init__(self, plane: Any, directory: Path) -> None:
        directory.mkdir()
        authority = Authority(directory, "faulty-proxy")
        pair = authority.issue("localhost")
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(pair.certificate, pair.key)
        self._upstream = plane.server
        self._trust = ssl.create_default_context(cafile=plane.ca_file)
        self.visits: list[Visit] = []
        self._refusals: list[Refusal] = []
        self._held: list[Asked] = []
        self._released = asyncio.Event()
        self._dead: set[asyncio.Transport] = set()
        self._open: set[asyncio.Transport] = set()
        self._watches: set[asyncio.Task[Any]] = set()
        self._loop = LoopThread("faulty proxy")
        port = self._loop.do(self._start())
        config = yaml.safe_load(plane.kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": str(authority.certificate),
        }
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def refuse(self, asked: Asked, status: int, times: int = 1, **headers: str) -> None:
        """Answer the next requests that are `asked` with a failure."""
        body = json.dumps({"kind": "Status", "code": status, "reason": "Refused", "message": "by the proxy"})
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._add(Refusal(asked, lambda: web.Response(status=status, text=body, headers=headers), times))

    def expire(self, asked: Asked, times: int = 1) -> None:
        """Answer the next watches that are `asked` as the API server does when their resource version is too old."""
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        line = json.dumps({"type": "ERROR", "object": gone}) + "\n"
        self._add(Refusal(asked, lambda: web.Response(text=line, content_type="application/json"), times))

    def hold(self, asked: Asked) -> None:
        """Forward requests that are `asked`, but keep their answers until `release`."""
        self._released.clear()
        self._loop.call(self._held.append, asked)

    def release(self) -> None:
        self._loop.call(self._held.clear)
        self._loop.call(self._released.set)

    def end_watches(self) -> None:
        """Break off all watches, as a restarted API server does."""
        self._loop.call(lambda: [task.cancel() for task in self._watches])

    def go_silent(self) -> None:
        """Forward nothing more over the connections that exist, without closing them; new ones are served."""
        self._loop.call(lambda: self._dead.update(self._open))

    def close(self) -> None:
        self._loop.do(self._stop())
        self._loop.close()

    def _add(self, refusal: Refusal) -> None:
        self._loop.call(self._refusals.append, refusal)

    async def _start(self) -> int:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=self._trust))
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._visit)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._server = server
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._serving)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        while self._server.connections:
            for protocol in self._server.connections:
                if protocol.transport is not None:
                    protocol.transport.abort()
            await asyncio.sleep(0)
        await self._runner.cleanup()
        await self._session.close()

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        if transport in self._dead:
            await asyncio.Event().wait()
        came_at, body = time.monotonic(), await request.read()
        response = await self._answer(request, body)
        visit = (request.method, request.path, request.query_string, body, came_at)
        self.visits.append(Visit(*visit, response.status, time.monotonic()))
        return response

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        for refusal in self._refusals:
            if refusal.times > 0 and refusal.asked(request):
                refusal.times -= 1
                return refusal.response()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = f"{self._upstream}{request.rel_url}"
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            if watches(request):
                return await self._stream(request, answer)
            content = await answer.read()
        if any(asked(request) for asked in self._held):
            await self._released.wait()
        if request.transport in self._dead:
            await asyncio.Event().wait()
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        return web.Response(status=answer.status, body=content, headers=kept)

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        relay = asyncio.ensure_future(self._relay(request, answer, response.write))
        self._watches.add(relay)
        try:
            await relay
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.close()
        finally:
            self._watches.discard(relay)
        return response

    async def _relay(
        self, request: web.Request, answer: aiohttp.ClientResponse, write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        async for chunk in answer.content.iter_any():
            if request.transport in self._dead:
                await asyncio.Event().wait()
            await write(chunk)
        if request.transport in self._dead:
            await asyncio.Event().wait()
