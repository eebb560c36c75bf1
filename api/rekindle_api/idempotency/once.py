"""Answers a request once: its Idempotency-Key brings the same answer back when it is sent again."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.idempotency.errors import IdempotencyKeyReusedError, InvalidIdempotencyKeyError, RequestUnderWayError
from rekindle_api.idempotency.repository import IdempotencyRepository, Wish
from rekindle_api.problems import Problem, problem_reply, raises

R = TypeVar("R", bound=BaseModel)
REPLAYED_HEADER = "Idempotent-Replayed"
_MAX_KEY_LENGTH = 255
# What no second try changes. Who has too few credits now, or comes too early, may have more luck later.
_LASTING = frozenset({400, 404, 410, 413, 415, 422})
_SAVEPOINT = "before_effect"


class Once:
    """One request of one user; without a key it is answered as if there were no keys."""

    def __init__(self, wish: Wish | None, request_id: str | None) -> None:
        self._wish = wish
        self._request_id = request_id

    async def answer(
        self, session: AsyncSession, handle: Callable[[], Awaitable[R]], status_code: int = 202
    ) -> R | JSONResponse:
        """Return what `handle` does in this transaction, or what it did for the same key before.

        The answer is stored in the transaction of the effect, and so is a refusal that would be the same the next time.
        `status_code` is that of the route.

        Raises:
            IdempotencyKeyReusedError: the key came with another request before.
            RequestUnderWayError: the same request is being answered.
            Problem: what `handle` raises.
        """
        if self._wish is None:
            return await handle()
        keys = IdempotencyRepository(session)
        if not await keys.begin(self._wish):
            raise RequestUnderWayError
        if (stored := await keys.find(self._wish)) is not None:
            if stored.fingerprint != self._wish.fingerprint:
                raise IdempotencyKeyReusedError
            return _replay(stored.status_code, stored.body)
        await session.execute(text(f"SAVEPOINT {_SAVEPOINT}"))
        try:
            reply = await handle()
        except Problem as problem:
            if problem.status not in _LASTING:
                raise
            await session.execute(text(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"))
            session.expunge_all()
            return await self._refuse(keys, self._wish, problem)
        await keys.store(self._wish, status_code, reply.model_dump(mode="json", by_alias=True))
        return reply

    async def _refuse(self, keys: IdempotencyRepository, wish: Wish, problem: Problem) -> JSONResponse:
        reply = problem_reply(
            status=problem.status,
            code=problem.code,
            title=problem.title,
            detail=problem.detail,
            request_id=self._request_id,
            headers=problem.headers,
        )
        await keys.store(wish, problem.status, json.loads(bytes(reply.body)))
        return reply


def _replay(status_code: int, body: dict[str, object]) -> JSONResponse:
    media_type = "application/problem+json" if status_code >= 400 else "application/json"
    return JSONResponse(body, status_code, {REPLAYED_HEADER: "true"}, media_type)


@raises(InvalidIdempotencyKeyError, IdempotencyKeyReusedError, RequestUnderWayError)
async def _once(
    request: Request,
    user: CurrentUser,
    idempotency_key: Annotated[
        str | None,
        Header(description="1 to 255 visible ASCII characters; the same request with it is answered once, for a day."),
    ] = None,
) -> Once:
    request_id = request.scope.get("rekindle.request_id")
    if idempotency_key is None:
        return Once(None, request_id)
    visible = all("!" <= character <= "~" for character in idempotency_key)
    if not visible or not 0 < len(idempotency_key) <= _MAX_KEY_LENGTH:
        raise InvalidIdempotencyKeyError
    asked = f"{request.url.path}?{request.url.query}\n".encode() + await request.body()
    route = f"{request.method} {request.scope['route'].path}"
    return Once(Wish(user.id, route, idempotency_key, hashlib.sha256(asked).hexdigest()), request_id)


OnceOnly = Annotated[Once, Depends(_once)]
"""For a route that creates: `return await once.answer(session, lambda: create(...), 201)`, and `response_model=` names
the model of the reply."""
