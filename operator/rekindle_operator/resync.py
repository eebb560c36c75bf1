"""Listing what is watched, so that nothing a watch lost stays unknown.

A list follows every watch that starts afresh, and comes by itself from time to time. The cache is complete once
everything has been listed while its watch was open.
"""

import asyncio
import logging

from rekindle_operator.cache import Cache
from rekindle_operator.cluster import ApiError, Cluster
from rekindle_operator.memory import Key
from rekindle_operator.resources import WATCHED, Resource
from rekindle_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

_RETRY = 2.0


class Resync:
    """Lists collections into the cache, one after another."""

    def __init__(
        self, cluster: Cluster, cache: Cache, queue: WorkQueue[Key], namespaces: tuple[str, ...], period: float
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._period = period
        self._everything = [(resource, namespace) for resource in WATCHED for namespace in namespaces]
        self._missing = set(self._everything)
        self._wanted: asyncio.Queue[tuple[Resource, str]] = asyncio.Queue()
        self.complete = asyncio.Event()

    def ask(self, resource: Resource, namespace: str) -> None:
        """Ask for a collection to be listed."""
        self._wanted.put_nowait((resource, namespace))

    async def run(self) -> None:
        """List what is asked for, and everything once in a while, until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._period
        while True:
            try:
                async with asyncio.timeout_at(due):
                    resource, namespace = await self._wanted.get()
            except TimeoutError:
                due = clock() + self._period
                for wanted in self._everything:
                    self.ask(*wanted)
                continue
            if not await self._try(resource, namespace):
                self.ask(resource, namespace)

    async def refresh(self) -> None:
        """List everything now, and return when that was done: the cache then knows all that was written before."""
        for resource, namespace in self._everything:
            while not await self._try(resource, namespace):
                pass

    async def _try(self, resource: Resource, namespace: str) -> bool:
        """List a collection and return whether that went well; wait a little when it did not."""
        try:
            await self._list(resource, namespace)
        except Exception as error:
            expected = isinstance(error, ApiError)
            extra = {"resource": resource.plural, "namespace": namespace, "error": str(error)}
            logger.warning("list failed", extra=extra, exc_info=None if expected else error)
            await asyncio.sleep((error.retry_after if isinstance(error, ApiError) else None) or _RETRY)
            return False
        return True

    async def _list(self, resource: Resource, namespace: str) -> None:
        items, version = await self._cluster.list(resource.path(namespace), resource.selector, resource.fields)
        for key in self._cache.replace(resource, namespace, items, version):
            self._queue.add(key)
        self._missing.discard((resource, namespace))
        if not self._missing:
            if not self.complete.is_set():
                self._cache.completed()
            self.complete.set()
