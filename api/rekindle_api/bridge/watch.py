"""Lists and watches the resources for ever, through disconnects, expired versions and restarts of the API server."""

import asyncio
import logging
import random
import time

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.bridge.answers import backoff
from rekindle_api.bridge.cluster import ClusterUnavailableError, Event, ExpiredError, Resources
from rekindle_api.bridge.inbox import Inbox
from rekindle_api.bridge.metrics import Metrics
from rekindle_api.bridge.recorder import Recorder
from rekindle_api.bridge.sightings import sighting_of

_log = logging.getLogger(__name__)
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 10.0
# A version of the future (a restored etcd) never expires, it only fails.
_FAILURES_BEFORE_A_NEW_LIST = 3


class ResourceWatch:
    """Brings each change of a resource of one kind into the inbox."""

    def __init__(
        self, resources: Resources, recorder: Recorder, inbox: Inbox, metrics: Metrics, silence_seconds: float
    ) -> None:
        self._resources = resources
        self.kind = resources.kind
        self._recorder = recorder
        self._inbox = inbox
        self._metrics = metrics
        self._silence_seconds = silence_seconds
        self._version: str | None = None
        self._failures = 0
        self._heard = self._turned = time.monotonic()
        self.listed = False

    @property
    def age(self) -> float:
        """Seconds since Kubernetes last said something."""
        return time.monotonic() - self._heard

    @property
    def stuck(self) -> bool:
        """Whether the loop itself stands still; an API server that is down does not count."""
        return time.monotonic() - self._turned > 3 * self._silence_seconds + 60

    async def run(self) -> None:
        """List, then watch, for ever."""
        while True:
            self._turned = time.monotonic()
            try:
                if self._version is None:
                    self._version = await self._list()
                await self._follow(self._version)
            except ExpiredError:
                self._version = None
            except (ClusterUnavailableError, SQLAlchemyError) as error:
                self._failures += 1
                self._metrics.failures.labels("watch").inc()
                _log.warning(
                    "watch interrupted",
                    extra={
                        "kind": self.kind.attempts,
                        "failures": self._failures,
                        "error": str(error)[:200],
                    },
                )
                if self._failures % _FAILURES_BEFORE_A_NEW_LIST == 0:
                    self._version = None
            wait = backoff(self._failures + 1, _FIRST_WAIT, _LONGEST_WAIT, random.random())  # noqa: S311 - jitter
            await asyncio.sleep(wait)

    async def _list(self) -> str:
        version = ""
        async for page in self._resources.pages():
            self._hear()
            seen = (sighting_of(self.kind, item) for item in page.resources)
            sightings = [sighting for sighting in seen if sighting is not None]
            for sighting in await self._recorder.news(self.kind, sightings):
                self._inbox.put(sighting)
            version = page.resource_version
        self.listed = True
        return version

    async def _follow(self, version: str) -> None:
        async for event in self._resources.watch(version, self._silence_seconds):
            self._hear()
            self._version = event.resource_version
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind == "BOOKMARK":
            return
        sighting = sighting_of(self.kind, event.resource, gone=event.kind == "DELETED")
        if sighting is not None:
            self._inbox.put(sighting)

    def _hear(self) -> None:
        self._heard = self._turned = time.monotonic()
        self._failures = 0
