"""Headers that every reply has."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = MappingProxyType({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"})
# A reply is data: nothing that it holds is run or framed. A page that needs more says so itself.
_UNLESS_SET = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Frame-Options": "DENY",
    }
)
# Browsers heed it on replies over TLS only.
_PRODUCTION = MappingProxyType({"Strict-Transport-Security": "max-age=63072000"})


class SecurityHeadersMiddleware:
    """Adds them. It must be the outermost, so that no reply goes without."""

    def __init__(self, app: ASGIApp, *, production: bool) -> None:
        self._app = app
        self._always: Mapping[str, str] = {**_ALWAYS, **(_PRODUCTION if production else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._always)
                for name, value in _UNLESS_SET.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
