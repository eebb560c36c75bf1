"""The watch layer: Kopf lists and watches, and hands every event over. It decides nothing and writes nothing.

Kopf runs in a thread and an event loop of its own, since it takes every task of its loop for its own when it ends. When
it ends by an error it is started again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import kopf
from kubernetes.aio.client.configuration import Configuration

from rekindle_operator.connection import session
from rekindle_operator.metrics import Metrics
from rekindle_operator.resources import WATCHED, Resource

logger = logging.getLogger(__name__)

Sink = Callable[[Resource, dict[str, Any], bool], None]
"""Takes a resource, an object and whether it was deleted; called in the loop that started the watch."""
Connected = Callable[[Resource, str], None]
"""Takes a resource and a namespace whose watch was opened after a new list; called in the same loop."""

_LONGEST_PAUSE = 15.0
_LAST_SECONDS = 3.0
_OVERDUE = 5
_PATIENCE = 2.0


class Streams:
    """When each watch last talked to the API server, whether it was answered or not."""

    def __init__(self, namespaces: tuple[str, ...]) -> None:
        self.by_path = {
            resource.path(namespace): (resource, namespace) for resource in WATCHED for namespace in namespaces
        }
        self._seen = dict.fromkeys(self.by_path, time.monotonic())
        self._listed: set[str] = set()

    def touch(self, path: str) -> None:
        """Note that a request for a path was made."""
        if path in self._seen:
            self._seen[path] = time.monotonic()

    def listed(self, path: str) -> None:
        """Note that a path was listed: what the next watch shows starts afresh."""
        self._listed.add(path)

    def reopened(self, path: str) -> bool:
        """Return whether the watch that was opened now follows a new list."""
        fresh = path in self._listed and path in self.by_path
        self._listed.discard(path)
        return fresh

    def age(self) -> float:
        """Return the seconds since the least recent watch talked to the API server."""
        return time.monotonic() - min(self._seen.values())


class Watch:
    """Kopf in its thread."""

    def __init__(
        self,
        configuration: Configuration,
        namespaces: tuple[str, ...],
        metrics: Metrics,
        sink: Sink,
        connected: Connected,
        *,
        watch_seconds: int,
    ) -> None:
        self.streams = Streams(namespaces)
        self._settings = _kopf_settings(watch_seconds)
        self._configuration = configuration
        self._namespaces = namespaces
        self._metrics = metrics
        self._sink = sink
        self._connected = connected
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop watching; a thread that does not end in time is left to the end of the process."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, _LAST_SECONDS)

    def _run(self) -> None:
        pause = 0.5
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._run_once()
            except Exception as error:  # noqa: BLE001 - Kopf must be up again whatever brought it down
                logger.warning("watch ended by an error", extra={"error": f"{type(error).__name__}: {error}"})
            if self._stopping.is_set():
                return
            self._metrics.watch_restarts.inc()
            pause = 0.5 if time.monotonic() - began > 60 else min(_LONGEST_PAUSE, pause * 2)
            self._stopping.wait(pause)

    def _run_once(self) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._operate())
        finally:
            loop.close()

    async def _operate(self) -> None:
        """Run Kopf until it is asked to stop or one of its parts fails.

        After a failure Kopf itself would wait for its other watches, which wait for credentials that nobody gives them
        any more and do not end when they are cancelled: hence they are left behind in their loop.
        """
        parts = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=self._settings,
            namespaces=self._namespaces,
            standalone=True,
            stop_flag=self._stopping,
        )
        ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=_PATIENCE)
        for part in ended:
            part.result()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: object) -> kopf.AiohttpSession:
            watching = session(self._configuration, self._trace(), connections=0)
            return kopf.AiohttpSession(server=self._configuration.host, aiohttp_session=watching)

        for resource in WATCHED:
            self._register(registry, resource)
        return registry

    def _register(self, registry: kopf.OperatorRegistry, resource: Resource) -> None:
        @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)
        async def observed(*, event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - Kopf passes many
            self._hand_over(self._sink, resource, dict(event["object"]), event["type"] == "DELETED")

    def _hand_over(self, function: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()

        async def started(_: object, __: SimpleNamespace, params: aiohttp.TraceRequestStartParams) -> None:
            self.streams.touch(params.url.path)

        async def ended(_: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
            watching, code = params.url.query.get("watch") == "true", params.response.status
            self._metrics.api_requests.labels("WATCH" if watching else params.method, str(code)).inc()
            self.streams.touch(params.url.path)
            if code != 200:
                return
            if not watching:
                self.streams.listed(params.url.path)
            elif self.streams.reopened(params.url.path):
                self._hand_over(self._connected, *self.streams.by_path[params.url.path])

        trace.on_request_start.append(started)
        trace.on_request_end.append(ended)
        return trace


class _NoDiffs(kopf.DiffBaseStorage):
    """Keeps Kopf from copying every object for differences that nobody asks for, and from storing them."""

    def build(self, **_: object) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        return None


def _kopf_settings(watch_seconds: int) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.process.ultimate_exiting_timeout = None
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (0.5, 1, 2, 4)
    # Each watch is opened anew from time to time: that it does so is what liveness looks at.
    settings.watching.server_timeout = watch_seconds
    # A watch that the API server did not end by then has died without a word.
    settings.watching.inactivity_timeout = watch_seconds + _OVERDUE
    settings.watching.connect_timeout = 5
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    for resource in WATCHED:
        selected = (resource.group, resource.version, resource.plural)
        if resource.selector:
            settings.watching.label_selectors[selected] = resource.selector
        if resource.fields:
            settings.watching.field_selectors[selected] = resource.fields
    return settings
