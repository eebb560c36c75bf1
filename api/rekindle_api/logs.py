"""One JSON line per event on standard error, each naming its request. No e-mail, token, signed URL or file name."""

import json
import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle_api.problems import problem_reply
from rekindle_api.problems.common import InternalError

_log = logging.getLogger("rekindle_api.request")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# PostgreSQL quotes whole rows there.
_DETAIL = re.compile(r"DETAIL:.*?(?=\n\[SQL|\nCONTEXT:|\n\n|\Z)", re.DOTALL)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def current_request_id() -> str | None:
    """Return the id of the request that is being served, if one is."""
    return _request_id.get()


class JsonFormatter(logging.Formatter):
    """Formats a record, and what was passed as `extra`, as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _unquoted(record.getMessage()),
        }
        if (request_id := _request_id.get()) is not None:
            line["request_id"] = request_id
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line |= {name: _unquoted(value) if isinstance(value, str) else value for name, value in given.items()}
        if record.exc_info:
            line["exception"] = _unquoted(self.formatException(record.exc_info))
        return json.dumps(line, default=_unquoted)


def _unquoted(value: object) -> str:
    """Return a text, or what an error says, without the rows that the database quotes."""
    return _DETAIL.sub("DETAIL: not logged", str(value))


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Send every log line of this process to standard error, or another stream, as JSON.

    Only our own lines follow `level`. Libraries speak from warnings on: below, they log statements, headers and bodies.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("rekindle_api").setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)


class RequestMiddleware:
    """Gives each request an id, logs its end, and answers what no handler took with 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _id_for(Headers(scope=scope).get("x-request-id"))
        scope["rekindle.request_id"] = request_id
        _request_id.set(request_id)
        began = time.monotonic()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _log.exception("request failed", extra={"method": scope["method"], "path": scope["path"]})
            if status is not None:
                raise
            reply = problem_reply(
                status=InternalError.status,
                code=InternalError.code,
                title=InternalError.title,
                detail="Something went wrong on our side. Try again; name the request id if it goes on.",
                request_id=request_id,
            )
            await reply(scope, receive, send_with_id)
        finally:
            _log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "milliseconds": round((time.monotonic() - began) * 1000),
                },
            )


def _id_for(given: str | None) -> str:
    return given if given and _GIVEN_ID.fullmatch(given) else secrets.token_hex(16)
