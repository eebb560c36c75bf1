"""Why the Job controller cannot make pods, in its own words: one list of Events serves all jobs of a namespace."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from rekindle_operator.cluster import Cluster, Json
from rekindle_operator.core.views import moment
from rekindle_operator.resources import TROUBLES

_FRESH_SECONDS = 5.0
_FIELDS = "reason=FailedCreate,involvedObject.kind=Job"


@dataclass(slots=True)
class _Reading:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    by_child: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)


class Troubles:
    """What was read of late, by namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._readings: dict[str, _Reading] = defaultdict(_Reading)

    async def of(self, namespace: str, child_uid: str) -> list[tuple[datetime, str]]:
        """Return when and in which words the Job controller complained about a child, at most 5 s old.

        Raises:
            ApiError: The Events could not be read.
        """
        reading, clock = self._readings[namespace], asyncio.get_running_loop().time
        async with reading.lock:
            if clock() >= reading.at + _FRESH_SECONDS:
                events, _ = await self._cluster.list(TROUBLES.path(namespace), fields=_FIELDS)
                reading.by_child, reading.at = _by_child(events), clock()
        return reading.by_child.get(child_uid, [])


def _by_child(events: list[Json]) -> dict[str, list[tuple[datetime, str]]]:
    result: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for event in events:
        at = moment(event.get("lastTimestamp") or event.get("eventTime"))
        if at is not None:
            result[event["involvedObject"].get("uid", "")].append((at, str(event.get("message") or "")))
    return result
