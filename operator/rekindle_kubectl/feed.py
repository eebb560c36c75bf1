"""What happens to objects of some kinds, as it happens: for each kind a thread that lists and watches, one queue.

The objects that fit the query are told; one that leaves it (a job that ends, when the query asks for open ones) is told
as gone, and whoever wants to know its end reads it.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rekindle_crds import Phase
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import ClusterError
from rekindle_kubectl.jobs import Json

OPEN_JOBS = {"fieldSelector": ",".join(f"status.phase!={phase.value}" for phase in Phase if phase.finished)}
"""Selects the jobs that have not ended, so that thousands that have are not read."""

_WATCH_SECONDS = 300
_LONGEST_PAUSE = 15.0
_BREATH = 0.2
"""Pause between two watches in seconds, for a server that ends each at once."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Which objects are watched."""

    plural: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects of a topic as they are now; what is not among them is gone."""

    plural: str
    objects: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object is new or has changed."""

    plural: str
    object: Json


@dataclass(frozen=True, slots=True)
class Gone:
    """One object was deleted, or does not fit the query any more."""

    plural: str
    name: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The API server does not answer; it is asked again and again."""

    plural: str
    error: ClusterError


News = Listed | Changed | Gone | Broken


class Feed:
    """News of some topics, in the order of each. Its threads end with the program."""

    def __init__(self, cluster: Cluster, topics: Sequence[Topic]) -> None:
        self._cluster = cluster
        self._news: queue.Queue[News | ClusterError] = queue.Queue()
        self._stopped = threading.Event()
        for topic in topics:
            threading.Thread(target=self._run, args=(topic,), name=f"watch {topic.plural}", daemon=True).start()

    def next(self, seconds: float) -> News | None:
        """Return the next news, or None when there is none within `seconds`.

        Raises:
            ClusterError: A topic cannot be watched, and that will not pass.
        """
        try:
            news = self._news.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if isinstance(news, ClusterError):
            raise news
        return news

    def close(self) -> None:
        """Ask the threads to end; they do when their connection next tells something."""
        self._stopped.set()

    def _run(self, topic: Topic) -> None:
        pause = 1.0
        while not self._stopped.is_set():
            try:
                objects, version = self._cluster.items(topic.plural, **topic.query)
                self._news.put(Listed(topic.plural, tuple(objects)))
                pause = 1.0
                self._watch(topic, version)
            except ClusterError as error:
                if not error.passing and error.status != 410:
                    self._news.put(error)
                    return
                if error.status != 410:
                    self._news.put(Broken(topic.plural, error))
                    self._stopped.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)

    def _watch(self, topic: Topic, version: str) -> None:
        while not self._stopped.is_set():
            query = {"allowWatchBookmarks": "true", **topic.query}
            for event in self._cluster.watch(topic.plural, version, _WATCH_SECONDS, **query):
                body = event["object"]
                version = body["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._news.put(Gone(topic.plural, body["metadata"]["name"]))
                elif event["type"] != "BOOKMARK":
                    self._news.put(Changed(topic.plural, body))
                if self._stopped.is_set():
                    return
            self._stopped.wait(_BREATH)
