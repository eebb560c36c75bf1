"""Turns every error into its reply."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from rekindle_api.problems.common import (
    BodyTooLargeError,
    DatabaseUnavailableError,
    InvalidRequestError,
    UnreadableBodyError,
)
from rekindle_api.problems.problem import FieldError, Problem, ProblemBody

_log = logging.getLogger(__name__)
_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
}


def problem_reply(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[FieldError] | None = None,
) -> JSONResponse:
    """Return an error reply."""
    body = ProblemBody(title=title, status=status, detail=detail, code=code, request_id=request_id, errors=errors)
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


def install(app: FastAPI) -> None:
    """Register the handlers. An exception that none of them takes is answered by the request middleware with 500."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    for unavailable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(unavailable, _database)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type only
    if error.status >= 500:
        cause = error.cause or type(error.__cause__).__name__
        _log.warning("%s (%s)", error.detail, cause, extra={"code": error.code})
    return problem_reply(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        request_id=_request_id(request),
        headers=error.headers,
    )


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    errors = [
        FieldError(location=".".join(str(part) for part in item["loc"]), message=str(item["msg"]))
        for item in error.errors()
    ]
    first = f" {errors[0].location}: {errors[0].message}." if errors else ""
    return problem_reply(
        status=InvalidRequestError.status,
        code=InvalidRequestError.code,
        title=InvalidRequestError.title,
        detail=f"Some fields were refused.{first}",
        request_id=_request_id(request),
        errors=errors,
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    # Python's own phrase for 413 differs between its versions.
    known = {kind.status: kind for kind in (BodyTooLargeError, UnreadableBodyError)}.get(error.status_code)
    phrase = known.title if known else HTTPStatus(error.status_code).phrase
    return problem_reply(
        status=error.status_code,
        code=known.code if known else phrase.lower().replace(" ", "_"),
        title=phrase,
        detail=_DETAILS.get(error.status_code, str(error.detail)),
        request_id=_request_id(request),
        headers=error.headers,
    )


async def _database(request: Request, error: Exception) -> JSONResponse:
    _log.warning("the database cannot be used", extra={"error": type(error).__name__})
    return problem_reply(
        status=DatabaseUnavailableError.status,
        code=DatabaseUnavailableError.code,
        title=DatabaseUnavailableError.title,
        detail="The service cannot reach its database. Try again in a moment.",
        request_id=_request_id(request),
        headers=DatabaseUnavailableError.headers,
    )


def _request_id(request: Request) -> str | None:
    found = request.scope.get("rekindle.request_id")
    return found if isinstance(found, str) else None
