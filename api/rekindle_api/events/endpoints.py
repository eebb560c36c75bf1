"""The route of event streams."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.database.connection import database_of
from rekindle_api.events.feed import AttemptFeed, Subscription
from rekindle_api.events.messages import Message, State, following, opening
from rekindle_api.photos.errors import PhotoNotFoundError
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.settings import LimitSettings
from rekindle_api.storage import ObjectStorage
from rekindle_api.storage.objects import storage_of

RECONNECT_MILLISECONDS = 3000

router = APIRouter(prefix="/api/v1/events", tags=["events"])


async def _subscription(request: Request, photo_id: uuid.UUID, user: CurrentUser) -> AsyncIterator[Subscription]:
    """Check the owner before the reply begins, and hold no transaction while the stream lasts."""
    async with database_of(request).transaction() as session:
        if await PhotoRepository(session).get(user.id, photo_id) is None:
            raise PhotoNotFoundError
    feed: AttemptFeed = request.app.state.feed
    with feed.follow(photo_id) as subscription:
        yield subscription


@router.get("/{photo_id}", response_class=EventSourceResponse)
async def stream(
    request: Request,
    photo_id: uuid.UUID,
    subscription: Annotated[Subscription, Depends(_subscription)],
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a photo's attempts: `snapshot` first, then what happens.

    `progress` and `completed` tell of restorations; `animation_progress`, `animation_completed` (with a signed
    `video_url`) and `animation_failed` of animations. While nothing runs, the last end of each kind is told again to
    who connects. The stream ends after some minutes; the client connects again, and misses nothing by it.
    """
    limits: LimitSettings = request.app.state.limits
    deadline = asyncio.get_running_loop().time() + limits.stream_seconds
    before: State | None = None
    while (state := await _next(subscription, deadline)) is not None:
        fresh = opening(photo_id, state, last_event_id) if before is None else following(before, state)
        before = state
        for message in fresh:
            yield await _event(message, storage_of(request), limits.signed_url_seconds)


async def _event(message: Message, storage: ObjectStorage, seconds: int) -> ServerSentEvent:
    data = dict(message.data)
    if message.video is not None:
        urls = await storage.signed_urls([message.video], seconds)
        data["video_url"] = urls[message.video.key]
    retry = RECONNECT_MILLISECONDS if message.id is None else None
    return ServerSentEvent(event=message.name, id=message.id, data=data, retry=retry)


async def _next(subscription: Subscription, deadline: float) -> State | None:
    """Wait for the next state; None when the stream's time is over, or the process shuts down."""
    try:
        async with asyncio.timeout_at(deadline):
            return await subscription.next()
    except TimeoutError:
        return None
