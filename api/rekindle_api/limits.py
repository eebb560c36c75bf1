"""Bounds the body of every request that is not an upload; uploads count their own bytes."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle_api.problems import problem_reply
from rekindle_api.problems.common import BodyTooLargeError

MAX_BODY_BYTES = 262_144
UPLOAD_PATH = "/api/v1/photos/upload"
_DETAIL = f"The body is larger than {MAX_BODY_BYTES // 1024} KiB."


class BodyLimitMiddleware:
    """Refuses bodies that are too large with 413, whether their length is declared or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # By its method too: a PUT to the same path is another route, which reads a body before it knows whose it is.
        if scope["type"] != "http" or (scope["method"], scope["path"]) == ("POST", UPLOAD_PATH):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            reply = problem_reply(
                status=BodyTooLargeError.status,
                code=BodyTooLargeError.code,
                title=BodyTooLargeError.title,
                detail=_DETAIL,
                request_id=scope.get("rekindle.request_id"),
                # The body is not read, so nothing else can follow on this connection.
                headers={"Connection": "close"},
            )
            await reply(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # FastAPI answers any other exception while it reads a body with 400.
                raise HTTPException(BodyTooLargeError.status, _DETAIL)
            return message

        await self._app(scope, receive_within_limit, send)
