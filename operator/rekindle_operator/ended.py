"""Jobs that have ended: no watch shows them and nothing keeps them, so they are listed from time to time.

Some of them want something: to be deleted when their time to live is over, to be seen with a changed spec, or to have a
child that a crash left behind stopped.
"""

import asyncio
import logging
from datetime import UTC, datetime

from pydantic import ValidationError

from rekindle_operator.cache import Cache, Json
from rekindle_operator.cluster import ApiError, Cluster
from rekindle_operator.core.finished import expires_at
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.jsonlog import about
from rekindle_operator.memory import Key
from rekindle_operator.resources import JOBS, Resource
from rekindle_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

_TTLS = ("ttlSecondsAfterSucceeded", "ttlSecondsAfterFailed")


class Ended:
    """Lists the jobs that have ended, page by page, and asks for those that want something to be looked at."""

    def __init__(
        self, cluster: Cluster, cache: Cache, queue: WorkQueue[Key], namespaces: tuple[str, ...], period: float
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._period = period
        self._everything = [(resource, namespace) for resource in JOBS.values() for namespace in namespaces]

    async def run(self) -> None:
        """List at once and then periodically, until cancelled."""
        while True:
            for resource, namespace in self._everything:
                try:
                    await self._look_through(resource, namespace)
                except ApiError as error:
                    extra = {"resource": resource.plural, "namespace": namespace, "error": str(error)}
                    logger.warning("list of ended jobs failed", extra=extra)
            await asyncio.sleep(self._period)

    async def _look_through(self, resource: Resource, namespace: str) -> None:
        async for page in self._cluster.pages(resource.path(namespace)):
            for raw in page.get("items") or []:
                self._look_at(Key(resource.kind, namespace, raw["metadata"]["name"]), raw)

    def _look_at(self, key: Key, raw: Json) -> None:
        metadata, status = raw["metadata"], raw.get("status", {})
        if not status.get("completionTime") or self._cache.job(key) is not None:
            return
        if status.get("observedGeneration") != metadata.get("generation") or self._cache.alive(metadata["uid"]):
            self._queue.add(key)
        elif any(name in raw["spec"] for name in _TTLS):
            expiry = _expiry(key, raw)
            if expiry is not None:
                self._queue.add_after(key, (expiry - datetime.now(UTC)).total_seconds())


def _expiry(key: Key, raw: Json) -> datetime | None:
    try:
        job = KINDS[key.kind].model.model_validate(raw)
    except ValidationError as error:
        # Stored by another version of the schema: it stays, and holds up no other.
        logger.warning("job not understood", extra={**about(*key, raw["metadata"]["uid"]), "error": str(error)})
        return None
    return expires_at(job.spec, job.status)
