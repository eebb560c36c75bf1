"""How an event loop of tests ends: without a task, and without an open socket, for which a later test would fail."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def connections_closed() -> None:
    """Wait until this loop has no connection: those by TLS are closed when their peer has answered.

    Raises:
        TimeoutError: One is still open; asyncio itself gives up the farewells of TLS after 30 s.
    """
    sockets = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        # The loop itself keeps one.
        while len(sockets) > 1:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    # A connection that is watched no more closes its socket in the next turn.
    await asyncio.sleep(0)


class LoopThread:
    """An event loop in a thread of its own, for servers; its coroutines are run from other threads."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return what it returns.

        Raises:
            TimeoutError: It took longer than 90 s.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the loop, and wait until it has returned."""

        async def call() -> None:
            function(*arguments)

        self.do(call())

    def close(self) -> None:
        """Cancel what runs, and end; servers must be closed already."""
        self.do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await connections_closed()
