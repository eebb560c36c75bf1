"""The newest sighting of each attempt, handed out one at a time per attempt, and again after a failure."""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable

from rekindle_api.bridge.answers import backoff
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.sightings import Sighting

_log = logging.getLogger(__name__)
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0


class Inbox:
    """Sightings that wait to be recorded. What an attempt looked like in between is not kept."""

    def __init__(self, handle: Callable[[Sighting], Awaitable[None]], metrics: Metrics) -> None:
        self._handle = handle
        self._metrics = metrics
        self._newest: dict[uuid.UUID, Sighting] = {}
        self._busy: set[uuid.UUID] = set()
        self._failures: dict[uuid.UUID, int] = {}
        self._ready: asyncio.Queue[uuid.UUID] = asyncio.Queue()

    def put(self, sighting: Sighting) -> None:
        """Take a sighting in; an end that waits is not replaced by anything."""
        waiting = self._newest.get(sighting.attempt_id)
        if waiting is not None and waiting.finished:
            return
        self._newest[sighting.attempt_id] = sighting
        if waiting is None and sighting.attempt_id not in self._busy:
            self._ready.put_nowait(sighting.attempt_id)

    async def work(self) -> None:
        """Hand out sightings for ever. Several may do so at once."""
        while True:
            attempt_id = await self._ready.get()
            sighting = self._newest.pop(attempt_id)
            self._busy.add(attempt_id)
            try:
                await self._handle(sighting)
                self._failures.pop(attempt_id, None)
            except Exception as error:  # noqa: BLE001 - whatever it was, it is counted and tried again
                self._try_later(sighting, error)
            finally:
                self._busy.discard(attempt_id)
                if attempt_id in self._newest:
                    self._ready.put_nowait(attempt_id)

    def _try_later(self, sighting: Sighting, error: Exception) -> None:
        tries = self._failures[sighting.attempt_id] = self._failures.get(sighting.attempt_id, 0) + 1
        delay = backoff(tries, _FIRST_WAIT, _LONGEST_WAIT, random.random())  # noqa: S311 - jitter is no secret
        self._metrics.failures.labels("recording").inc()
        _log.warning(
            "could not record", extra={"attempt": sighting.attempt_id, "tries": tries, "error": type(error).__name__}
        )
        asyncio.get_running_loop().call_later(delay, self._put_back, sighting)

    def _put_back(self, sighting: Sighting) -> None:
        if sighting.attempt_id not in self._newest:
            self.put(sighting)
