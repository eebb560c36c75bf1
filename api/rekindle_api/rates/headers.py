"""Tells the client, on every reply of a limited route, what is left of its allowance.

References:
    draft-ietf-httpapi-ratelimit-headers-10; RFC 9110, section 10.2.3, for Retry-After.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle_api.rates.gcra import Allowance

_SCOPE_KEY = "rekindle.allowances"


def note(scope: Scope, allowance: Allowance) -> None:
    """Have the reply to this request tell an allowance, whatever the reply becomes."""
    noted: list[Allowance] = scope[_SCOPE_KEY]
    noted.append(allowance)


class RateHeadersMiddleware:
    """Writes RateLimit-Policy, RateLimit and, on a refusal, Retry-After."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        noted: list[Allowance] = []
        scope[_SCOPE_KEY] = noted

        async def send_with_allowances(message: Message) -> None:
            if message["type"] == "http.response.start" and noted:
                _write(MutableHeaders(scope=message), noted)
            await send(message)

        await self._app(scope, receive, send_with_allowances)


def _write(headers: MutableHeaders, noted: list[Allowance]) -> None:
    headers["RateLimit-Policy"] = ", ".join(
        f'"{one.policy}";q={one.rate.requests};w={round(one.rate.window.total_seconds())}' for one in noted
    )
    headers["RateLimit"] = ", ".join(f'"{one.policy}";r={one.remaining};t={one.full_after}' for one in noted)
    if refused := [one for one in noted if not one.allowed]:
        headers["Retry-After"] = str(max(one.retry_after for one in refused))
