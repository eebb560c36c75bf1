"""The routes of event streams, and of the tickets that open them."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Security
from fastapi.security import APIKeyQuery
from pydantic import BaseModel, Field

from rekindle_api.auth.dependencies import BEARER, CurrentUser, TokenClaims, bearer_claims, find_caller, refuse_closed
from rekindle_api.auth.errors import ACCOUNT_CLOSED, InvalidTokenError, KeysUnavailableError, MissingTokenError
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.events.feed import AttemptFeed, Heartbeat, Subscription
from rekindle_api.events.messages import NAMES, Message, State, following, opening
from rekindle_api.events.stream import HEARTBEAT, EventStream, encoded
from rekindle_api.events.tickets import InvalidTicketError, Reader, Tickets
from rekindle_api.photos.errors import PhotoNotFoundError
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited
from rekindle_api.settings import LimitSettings
from rekindle_api.storage import ObjectStorage
from rekindle_api.storage.objects import storage_of
from rekindle_api.users.repository import UserRepository

RECONNECT_MILLISECONDS = 3000
_TICKET = APIKeyQuery(
    name="ticket", scheme_name="ticket", description="A ticket for this photo's streams.", auto_error=False
)

_EVENTS = {
    "description": "The events, one after another.",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "description": "One event.",
                "required": ["event", "data"],
                "properties": {
                    "event": {"type": "string", "enum": list(NAMES)},
                    "data": {"type": "string", "contentMediaType": "application/json"},
                    "id": {"type": "string", "description": "Send the last one back as Last-Event-ID."},
                    "retry": {"type": "integer", "description": "Milliseconds until the next try to connect."},
                },
            },
            "example": {
                "event": "progress",
                "data": '{"job_id": "01975c6e-3f7a-7c21-9d4e-5b8f0a6c2d13", '
                '"restore_id": "01975c70-88d2-7e05-b3f1-2a9c4d7e6f80", "status": "processing", "percent": 35, '
                '"stage": "repair", "reason": null, "message": null}',
                "id": "01975c70-88d2-7e05-b3f1-2a9c4d7e6f80:3",
            },
        }
    },
}

router = APIRouter(prefix="/api/v1/events", tags=["events"])


class TicketRequest(BaseModel):
    """What to follow."""

    photo_id: uuid.UUID


class Ticket(BaseModel):
    """What opens the streams of one photo, any number of times."""

    ticket: str = Field(
        description="Goes into the query of the stream's address: `?ticket=…`.",
        examples=["eyJhbGciOiJIUzI1NiJ9.eyJwaG90byI6Ii4uLiJ9.c2lnbmF0dXJl"],
    )
    expires_at: datetime = Field(description="When the access token ends that it was got with; ask for another then.")


@router.post("/tickets", dependencies=[limited("tickets")])
@raises(PhotoNotFoundError)
async def give_ticket(
    request: Request, wanted: TicketRequest, user: CurrentUser, claims: TokenClaims, session: DatabaseSession
) -> Ticket:
    """Give a ticket for the streams of one photo.

    A browser's `EventSource` sends no `Authorization`, so the ticket goes into the address. It opens nothing else.
    """
    if await PhotoRepository(session).get(user.id, wanted.photo_id) is None:
        raise PhotoNotFoundError
    tickets: Tickets = request.app.state.tickets
    ticket = tickets.issue(Reader(user.id, claims.expires_at), wanted.photo_id)
    return Ticket(ticket=ticket, expires_at=datetime.fromtimestamp(claims.expires_at, UTC))


@dataclass(frozen=True)
class Following:
    """A stream that may begin, and for how many seconds it may last."""

    subscription: Subscription
    seconds: float


@raises(MissingTokenError, InvalidTokenError, InvalidTicketError, KeysUnavailableError, *ACCOUNT_CLOSED)
async def _reader(
    request: Request,
    photo_id: uuid.UUID,
    _bearer: Annotated[object, Security(BEARER)],
    _scheme: Annotated[object, Security(_TICKET)],
    ticket: Annotated[str | None, Query(include_in_schema=False)] = None,
) -> Reader:
    """Return who asks, by token or by ticket; the token counts when there are both."""
    if ticket is None or "Authorization" in request.headers:
        claims = await bearer_claims(request)
        user = refuse_closed((await find_caller(request, claims)).user)
        return Reader(user.id, claims.expires_at)
    tickets: Tickets = request.app.state.tickets
    reader = tickets.reader(ticket, photo_id)
    async with database_of(request).transaction() as session:
        holder = await UserRepository(session).get(reader.user_id)
    if holder is None:
        raise InvalidTicketError
    refuse_closed(holder)
    return reader


@raises(PhotoNotFoundError)
async def _following(
    request: Request, photo_id: uuid.UUID, reader: Annotated[Reader, Depends(_reader)]
) -> AsyncIterator[Following]:
    """Check the owner before the reply begins, and hold no transaction while the stream lasts."""
    async with database_of(request).transaction() as session:
        if await PhotoRepository(session).get(reader.user_id, photo_id) is None:
            raise PhotoNotFoundError
    limits: LimitSettings = request.app.state.limits
    feed: AttemptFeed = request.app.state.feed
    with feed.follow(photo_id, reader.user_id) as subscription:
        yield Following(subscription, min(limits.stream_seconds, reader.until - time.time()))


@router.get("/{photo_id}", status_code=200, response_class=EventStream, responses={200: _EVENTS})
async def stream(
    request: Request,
    photo_id: uuid.UUID,
    follower: Annotated[Following, Depends(_following)],
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Follow a photo's attempts: `snapshot` first, then what happens.

    `progress` and `completed` tell of restorations; `animation_progress`, `animation_completed` (with a signed
    `video_url`) and `animation_failed` of animations. While nothing runs, the last end of each kind is told again to
    who connects. A comment comes every few seconds as a sign of life. The stream ends after some minutes, and when
    the token or ticket does; the client connects again, and misses nothing by it.
    """
    limits: LimitSettings = request.app.state.limits
    messages = _messages(photo_id, follower, last_event_id)
    events = _encoded(messages, storage_of(request), limits.signed_url_seconds)
    return EventStream(events, follower.subscription.close)


async def _messages(
    photo_id: uuid.UUID, follower: Following, last_event_id: str | None
) -> AsyncGenerator[Message | Heartbeat, None]:
    before: State | None = None
    deadline = asyncio.get_running_loop().time() + follower.seconds
    while (news := await _next(follower.subscription, deadline)) is not None:
        if isinstance(news, Heartbeat):
            yield news
            continue
        for message in opening(photo_id, news, last_event_id) if before is None else following(before, news):
            yield message
        before = news


async def _encoded(
    messages: AsyncGenerator[Message | Heartbeat, None], storage: ObjectStorage, seconds: int
) -> AsyncGenerator[bytes, None]:
    async for message in messages:
        if isinstance(message, Heartbeat):
            yield HEARTBEAT
            continue
        data = dict(message.data)
        if message.video is not None:
            urls = await storage.signed_urls([message.video], seconds)
            data["video_url"] = urls[message.video.key]
        retry = RECONNECT_MILLISECONDS if message.id is None else None
        yield encoded(message.name, data, event_id=message.id, retry=retry)


async def _next(subscription: Subscription, deadline: float) -> State | Heartbeat | None:
    """Wait for what is next; None when the stream's time is over, or it was ended."""
    try:
        async with asyncio.timeout_at(deadline):
            return await subscription.next()
    except TimeoutError:
        return None
