"""A queue of keys: each key is worked on by one worker at a time, however often and by whomever it is added."""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 120.0
_SLACK = 64


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker, keys that will wait at a later time, and how often each has failed.

    A key that is added while it is worked on is worked on once more afterwards. Keys of which `first` says so when they
    are added go before all others. The queue belongs to one event loop.
    """

    def __init__(self, first: Callable[[Key], bool] = lambda _: False) -> None:
        self._first = first
        self._ahead: deque[Key] = deque()
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0
        self._failures: dict[Key, int] = {}
        self._held: dict[Key, float] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._open = True
        self._added = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys wait for a worker now."""
        return len(self._ahead) + len(self._ready) + len(self._again)

    def add(self, key: Key) -> None:
        """Ask for a key to be worked on as soon as a worker is free."""
        if not self._open:
            return
        wait = self._held.get(key, 0.0) - asyncio.get_running_loop().time()
        if wait > 0:
            self.add_after(key, wait)
        elif key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            (self._ahead if self._first(key) else self._ready).append(key)
            self._added.set()

    def add_after(self, key: Key, delay: float) -> None:
        """Ask for a key to be worked on in `delay` seconds; of several such wishes the earliest holds."""
        when = asyncio.get_running_loop().time() + max(0.0, delay)
        if not self._open or when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._drop_overtaken()
        self._set_alarm()

    def retry(self, key: Key, at_least: float = 0.0, at_most: float = LONGEST_BACKOFF) -> float:
        """Ask for a key that failed to be worked on again, later each time; return the delay in seconds.

        Whoever adds the key meanwhile, it is not worked on for `at_least` so many seconds.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(at_most, _FIRST_BACKOFF * 2.0 ** min(failures, 16))
        delay = max(at_least, backoff * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
        if at_least > 0:
            self._held[key] = asyncio.get_running_loop().time() + at_least
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)
        self._held.pop(key, None)

    async def take(self) -> Key:
        """Wait for a key; `done` must be called when its work has ended."""
        while not (ready := self._ahead or self._ready):
            self._added.clear()
            await self._added.wait()
        key = ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        self._due.pop(key, None)
        return key

    def done(self, key: Key) -> None:
        """Let a key be worked on again."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def open(self, keys: Iterable[Key]) -> None:
        """Take keys again, these first."""
        self._open = True
        for key in keys:
            self.add(key)

    def close(self) -> None:
        """Drop all wishes and forget all failures, and take no more keys; no key may be worked on."""
        self._open = False
        if self._alarm is not None:
            self._alarm.cancel()
        self._ahead.clear()
        for part in (self._ready, self._waiting, self._working, self._again, self._due, self._heap):
            part.clear()
        self._failures.clear()
        self._held.clear()

    def _drop_overtaken(self) -> None:
        """Forget wishes that an earlier one, or a worker, has overtaken: a deadline may be days away."""
        self._heap = [wish for wish in self._heap if self._due.get(wish[2]) == wish[0]]
        heapq.heapify(self._heap)

    def _set_alarm(self) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(self._heap[0][0], self._ring) if self._heap else None

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        self._set_alarm()
