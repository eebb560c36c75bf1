"""Progress: the logs of running pods, read in turn within the budget."""

import asyncio
import logging

from rekindle_operator.budget import Budget
from rekindle_operator.cache import Cache
from rekindle_operator.cluster import ApiError, Cluster
from rekindle_operator.core.observed import CONTAINER, Pod
from rekindle_operator.core.progress import progress_in
from rekindle_operator.jsonlog import about
from rekindle_operator.memory import Key
from rekindle_operator.resources import PODS
from rekindle_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

_ROUND = 1.0
_TIMEOUT = 3.0
_QUERY = {"container": CONTAINER, "tailLines": "20", "limitBytes": "32768"}


class Poller:
    """Reads the end of every running pod's log, each second while few run and more rarely when many do."""

    def __init__(self, cluster: Cluster, cache: Cache, queue: WorkQueue[Key], budget: Budget) -> None:
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._budget = budget
        self._asked: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            for key, pod in self._cache.running():
                if pod.uid not in self._asked:
                    await self._budget.take()
                    self._ask(key, pod)
            await asyncio.sleep(_ROUND)

    def _ask(self, key: Key, pod: Pod) -> None:
        """Read a log beside the others: a node that does not answer holds up its own pods only."""
        task = asyncio.create_task(self._poll(key, pod), name=f"log of {pod.name}")
        self._asked[pod.uid] = task
        task.add_done_callback(lambda _: self._asked.pop(pod.uid))

    async def _poll(self, key: Key, pod: Pod) -> None:
        path = PODS.path(key.namespace, pod.name, "log")
        try:
            log = await self._cluster.text(path, _QUERY, _TIMEOUT)
        except ApiError as error:
            words = about(*key, self._cache.uid(key))
            logger.debug("progress not readable", extra={**words, "pod": pod.name, "error": str(error)})
            self._budget.hold(error.retry_after or 0.0)
            return
        progress, memory = progress_in(log), self._cache.memory(key)
        if progress is not None and memory.progress.get(pod.uid) != progress:
            memory.progress[pod.uid] = progress
            self._queue.add(key)
