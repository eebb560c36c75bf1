"""Carries changes of attempts to every open stream of this process over one database connection.

A notification is only a wake-up: what changed is read from the tables, once for all streams of a photo. After a lost
connection everything that anybody follows is read again, so a notification that was missed does no harm. At each
heartbeat one query finds the readers whose accounts were closed; their streams end.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.attempts.models import ATTEMPT_CHANNEL, AnimationAttempt, Attempt, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.database import Database
from rekindle_api.events.messages import State, states_by_job
from rekindle_api.settings import PlanSettings
from rekindle_api.users.repository import UserRepository
from rekindle_api.users.tiers import tiers_of

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 30.0
_RECONNECT_SECONDS = (0.2, 1.0, 5.0)


class Heartbeat(Enum):
    """A sign of life, sent when the reader's account was looked at and may go on."""

    BEAT = auto()


class Subscription:
    """What one stream waits on: the newest state, and whether it is newer than what the stream last took."""

    def __init__(self, user_id: uuid.UUID) -> None:
        self.user_id = user_id
        self._woken = asyncio.Event()
        self._state: State | None = None
        self._changed = False
        self._closed = False

    def put(self, state: State) -> None:
        """Replace the state; one that was not taken yet is passed over."""
        if state != self._state:
            self._state = state
            self._changed = True
            self._woken.set()

    def beat(self) -> None:
        """Have the stream show that it lives."""
        self._woken.set()

    def close(self) -> None:
        """End the stream."""
        self._closed = True
        self._woken.set()

    async def next(self) -> State | Heartbeat | None:
        """Wait for the next state or heartbeat; None when the stream has to end."""
        await self._woken.wait()
        self._woken.clear()
        if self._closed:
            return None
        if self._changed and self._state is not None:
            self._changed = False
            return self._state
        return Heartbeat.BEAT


class AttemptFeed:
    """The one listener of a process."""

    def __init__(self, database: Database, heartbeat_seconds: float, plans: PlanSettings) -> None:
        self._database = database
        self._plans = plans
        self._heartbeat_seconds = heartbeat_seconds
        self._followers: dict[uuid.UUID, set[Subscription]] = {}
        self._stale: set[uuid.UUID] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.create_task(loop()) for loop in (self._listen, self._deliver, self._beat)]

    def end_streams(self) -> None:
        """End every stream, so that a server that shuts down need not wait for them."""
        self._closed = True
        for subscription in self._subscriptions():
            subscription.close()

    async def close(self) -> None:
        """Stop listening."""
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_streams(self) -> int:
        """How many streams this process has open."""
        return len(self._subscriptions())

    @contextmanager
    def follow(self, job_id: uuid.UUID, user_id: uuid.UUID) -> Iterator[Subscription]:
        """Follow one photo of a user. Its present state comes first, as soon as it is read."""
        subscription = Subscription(user_id)
        if self._closed:
            subscription.close()
        followers = self._followers.setdefault(job_id, set())
        followers.add(subscription)
        self._mark([job_id])
        try:
            yield subscription
        finally:
            followers.discard(subscription)
            if not followers:
                self._followers.pop(job_id, None)

    def _subscriptions(self) -> list[Subscription]:
        return [one for followers in self._followers.values() for one in followers]

    def _mark(self, job_ids: Iterable[uuid.UUID]) -> None:
        self._stale.update(job_ids)
        self._wake.set()

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                async with await self._database.connect("rekindle-api-events") as connection:
                    await connection.execute(f"LISTEN {ATTEMPT_CHANNEL}".encode())
                    failures = 0
                    self._mark(self._followers)
                    while True:
                        async for notification in connection.notifies(timeout=_CHECK_SECONDS):
                            self._notified(notification.payload)
                        # A connection that died in silence is found by a question, not by waiting.
                        await connection.execute("SELECT 1")
            except (psycopg.Error, OSError) as error:
                _log.warning("the event listener lost its connection", extra={"error": type(error).__name__})
            except Exception:  # noqa: BLE001 - without this task every stream is silent, and nobody sees why
                _log.exception("the event listener broke off")
            await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
            failures += 1

    def _notified(self, payload: str) -> None:
        with contextlib.suppress(ValueError):
            if (job_id := uuid.UUID(payload)) in self._followers:
                self._mark([job_id])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if not (readers := {subscription.user_id for subscription in self._subscriptions()}):
                continue
            active = await self._active(readers)
            for subscription in self._subscriptions():
                if subscription.user_id in readers - active:
                    subscription.close()
                else:
                    subscription.beat()

    async def _active(self, readers: set[uuid.UUID]) -> set[uuid.UUID]:
        """Return which readers may go on: all of them while it cannot be known, the next beat looks again."""
        try:
            async with self._database.transaction() as session:
                return await UserRepository(session).active_among(readers)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("accounts cannot be checked for event streams", extra={"error": type(error).__name__})
        except Exception:  # noqa: BLE001 - without this task no stream beats or ends any more
            _log.exception("accounts cannot be checked for event streams")
        return readers

    async def _deliver(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            stale, self._stale = [one for one in self._stale if one in self._followers], set()
            if failed := await self._tell(stale):
                await asyncio.sleep(_RECONNECT_SECONDS[1])
                self._mark(failed)

    async def _tell(self, job_ids: list[uuid.UUID]) -> list[uuid.UUID]:
        """Give the streams of these photos their state; return the photos whose state could not be read."""
        try:
            states = await self._read(job_ids)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("attempts cannot be read for event streams", extra={"error": type(error).__name__})
            return job_ids
        except Exception:  # noqa: BLE001 - whatever it was, every stream of the process hangs on this task
            _log.exception("attempts cannot be told to event streams", extra={"photos": len(job_ids)})
            # One photo whose rows hold something unforeseen must not silence the streams of the others.
            alone = [[job_id] for job_id in job_ids] if len(job_ids) > 1 else []
            return [failed for one in alone for failed in await self._tell(one)] if alone else job_ids
        for job_id in job_ids:
            for follower in self._followers.get(job_id, ()):
                follower.put(states.get(job_id, {}))
        return []

    async def _read(self, job_ids: list[uuid.UUID]) -> dict[uuid.UUID, State]:
        if not job_ids:
            return {}
        async with self._database.transaction() as session:
            restores = await AttemptRepository(session, RestoreAttempt).for_streams(job_ids)
            animations = await AttemptRepository(session, AnimationAttempt).for_streams(job_ids)
            attempts: list[Attempt] = [*restores, *animations]
            tiers = await tiers_of(session, {attempt.owner_id for attempt in attempts})
        watermarked = {owner_id for owner_id, tier in tiers.items() if self._plans.plan(tier).watermark}
        return dict(states_by_job(attempts, watermarked))
