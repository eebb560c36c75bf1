"""Polling that costs little: a JSON reply to a GET has an ETag, and is an empty 304 for who has it already.

The signed addresses in a reply differ from one reply to the next while what they lead to is the same, so their
signatures do not count. But a client keeps the addresses of the reply that it has: the tag changes well before
they end, so that a 304 never leaves it with dead ones.
"""

import hashlib
import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SIGNED_QUERY = re.compile(rb'\?[^"\s]*X-Amz-Signature=[^"\s]*')
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


class ConditionalMiddleware:
    """Tags replies. `signed_seconds` is how long the signed addresses in them live."""

    def __init__(self, app: ASGIApp, *, signed_seconds: int) -> None:
        self._app = app
        self._period = max(1, signed_seconds // 3)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = _TAG.findall(Headers(scope=scope).get("if-none-match", ""))
        held: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_json(message):
                held = message
                return
            if held is not None:
                start, held = held, None
                if not message.get("more_body"):
                    message = self._tagged(start, message, known)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_tagged)

    def _tagged(self, start: Message, body: Message, known: list[str]) -> Message:
        """Put the tag into the head of a reply; return its body, which is empty when the client has it already."""
        tag = self._tag(body.get("body", b""))
        headers = MutableHeaders(scope=start)
        headers["ETag"] = tag
        if tag.removeprefix("W/") not in {one.removeprefix("W/") for one in known}:
            return body
        start["status"] = 304
        for name in ("content-length", "content-type"):
            del headers[name]
        return {**body, "body": b""}

    def _tag(self, body: bytes) -> str:
        same, signed = _SIGNED_QUERY.subn(b"", body)
        period = int(time.time()) // self._period if signed else 0
        return f'W/"{hashlib.sha256(same + period.to_bytes(8)).hexdigest()[:32]}"'


def _is_json(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=start["headers"]).get("content-type") == "application/json"
