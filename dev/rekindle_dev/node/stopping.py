"""The order to end a pod: politely first, by force when the grace is over."""

import asyncio
import contextlib


class Stop:
    """Starts as no order at all; may be given more than once, and only ever gets more urgent."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Containers are to end."""
        self.forced = asyncio.Event()
        """The grace is over."""
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        """Give the order, with this much grace from now unless an earlier order ends sooner."""
        self.asked.set()
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.forced.set)

    async def asked_within(self, seconds: float) -> bool:
        """Wait for the order, but no longer than this; return whether it was given."""
        if seconds > 0 and not self.asked.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.asked.wait(), seconds)
        return self.asked.is_set()


async def first(*events: asyncio.Event, until: asyncio.Task[int]) -> None:
    """Wait until the task is done or one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait({until, *waits}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
