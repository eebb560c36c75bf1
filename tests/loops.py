"""An event loop for servers of tests, in a thread of its own."""

import asyncio
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads; once closed, it leaves no task and no open socket."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """Run a coroutine in the loop and return what it returns.

        Raises:
            TimeoutError: It took too long.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

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
        # Connections by TLS are closed when their peer has answered; the loop itself keeps one socket.
        while len(self._selector.get_map()) > 1:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
        # A connection that is watched no more closes its socket in the next turn.
        await asyncio.sleep(0)
