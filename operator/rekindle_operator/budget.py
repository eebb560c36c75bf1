"""A budget of requests per second, shared by all that draw on it."""

import asyncio


class Budget:
    """Gives out one slot after another, evenly spaced; at most one second's worth is saved up."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    def hold(self, seconds: float) -> None:
        """Give out no slot for a while."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)

    @property
    def exceeded(self) -> bool:
        """Whether those who do not wait have spent more than the next second gives."""
        return self._next > asyncio.get_running_loop().time() + 1.0

    async def take(self) -> None:
        """Wait for the next slot and take it."""
        now = asyncio.get_running_loop().time()
        slot = self._spend(now)
        await asyncio.sleep(max(0.0, slot - now))

    def spend(self) -> None:
        """Take a slot without waiting for it: whoever waits for the next one waits longer."""
        self._spend(asyncio.get_running_loop().time())

    def _spend(self, now: float) -> float:
        slot = max(self._next, now - 1.0)
        self._next = slot + self._interval
        return slot
