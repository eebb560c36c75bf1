"""The node's own HTTPS API, as much of a kubelet's as `kubectl logs` needs."""

import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from aiohttp import web

from rekindle_dev.node.access import Gate
from rekindle_dev.node.idle import IdlePod
from rekindle_dev.node.logs import LogQuery, read
from rekindle_dev.node.podrunner import PodRunner
from rekindle_dev.node.pods import Pods
from rekindle_dev.node.states import ADDRESS, Waiting, all_containers


async def serve(pods: Pods, gate: Gate, context: ssl.SSLContext) -> tuple[web.AppRunner, int]:
    """Start the server on a free port of the loopback; return it, for its clean-up, and the port."""

    @web.middleware
    async def only_admitted(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        certificate = request.get_extra_info("peercert") or {}
        if not await gate.admits(certificate):
            raise web.HTTPForbidden(text="this client may not call the node\n")
        return await handler(request)

    async def logs(request: web.Request) -> web.StreamResponse:
        return await _logs(request, pods)

    application = web.Application(middlewares=[only_admitted])
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    application.router.add_route("*", "/{path:.*}", _unsupported)
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, ADDRESS, 0, ssl_context=context, shutdown_timeout=1)
    await site.start()
    port: int = runner.addresses[0][1]
    return runner, port


async def _unsupported(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotImplemented(text=f"a process node gives logs only, not {request.path}\n")


async def _logs(request: web.Request, pods: Pods) -> web.StreamResponse:
    namespace, name, container = (request.match_info[part] for part in ("namespace", "pod", "container"))
    runner = pods.find(namespace, name)
    if runner is None:
        raise web.HTTPNotFound(text=f'pod "{name}" does not exist on this node\n')
    if container not in {spec["name"] for spec in all_containers(runner.pod)}:
        raise web.HTTPNotFound(text=f'container "{container}" not found in pod "{name}"\n')
    try:
        query = _query(request)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    if isinstance(runner, IdlePod):
        return web.Response(body=runner.log(query), content_type="text/plain")
    previous = request.query.get("previous") == "true"
    starts = _starts(runner, container)
    if previous:
        starts = starts[:-1]
    if not starts:
        raise web.HTTPBadRequest(text=_no_log(runner, container, previous=previous))
    started = runner.containers.get(container)
    live = started.log if started and started.log and started.log.path == starts[-1] else None
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    async for text in read(starts[-1], query, live):
        await response.write(text)
    await response.write_eof()
    return response


def _query(request: web.Request) -> LogQuery:
    """Return what a request asks for.

    Raises:
        ValueError: when a value has the wrong form.
    """
    given = request.query
    since = None
    if "sinceTime" in given:
        since = int(datetime.fromisoformat(given["sinceTime"]).timestamp() * 10**9)
    elif "sinceSeconds" in given:
        since = time.time_ns() - int(given["sinceSeconds"]) * 10**9
    if given.get("stream", "All") != "All":
        raise ValueError("a process node gives both streams of a container together only")
    return LogQuery(
        follow=given.get("follow") == "true",
        tail_lines=int(given["tailLines"]) if "tailLines" in given else None,
        since=since,
        limit_bytes=int(given["limitBytes"]) if "limitBytes" in given else None,
        timestamps=given.get("timestamps") == "true",
    )


def _starts(runner: PodRunner, container: str) -> list[Path]:
    """Return the logs of a container's starts, the latest last."""
    return sorted((runner.folder / "logs" / container).glob("*.log"), key=lambda path: int(path.stem))


def _no_log(runner: PodRunner, container: str, *, previous: bool) -> str:
    name = runner.pod["metadata"]["name"]
    if previous:
        return f'previous terminated container "{container}" in pod "{name}" not found\n'
    state = runner.known[container].state
    reason = state.reason if isinstance(state, Waiting) else "no log"
    return f'container "{container}" in pod "{name}" is waiting to start: {reason}\n'
