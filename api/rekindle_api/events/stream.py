"""The reply that a stream is: server-sent events for as long as there are any, and its reader is there.

References:
    HTML Living Standard, section 9.2, Server-sent events.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

HEARTBEAT = b": heartbeat\n\n"
_SEND_SECONDS = 30.0
_log = logging.getLogger(__name__)


def encoded(name: str, data: Mapping[str, Any], *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Return one event as it is written to the wire; `retry` is in milliseconds."""
    lines = [f"event: {name}", f"data: {json.dumps(data)}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    return ("\n".join(lines) + "\n\n").encode()


class EventStream(StreamingResponse):
    """Sends events as they come. When the reader leaves, `left` is called; it must end the events."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], left: Callable[[], None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        watcher = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in self._events:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            _log.info("a stream was given up: its reader takes nothing", extra={"path": scope["path"]})
        finally:
            watcher.cancel()
            await self._events.aclose()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left()
