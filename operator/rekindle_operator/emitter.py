"""Events for people: sent in the background, and lost rather than in the way."""

import asyncio
import hashlib
import logging
import socket
from dataclasses import dataclass
from datetime import UTC, datetime

from rekindle_crds import GROUP, VERSION, ObjectMeta
from rekindle_operator.cluster import ApiError, Cluster, Json, NotLeading
from rekindle_operator.core.events import Notice
from rekindle_operator.jsonlog import about
from rekindle_operator.metrics import Metrics
from rekindle_operator.resources import EVENTS

logger = logging.getLogger(__name__)

_CONTROLLER = f"{GROUP}/operator"
_NOTE_BYTES = 1024
_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Letter:
    kind: str
    metadata: ObjectMeta
    notice: Notice
    moment: datetime


class Emitter:
    """Posts the Events of transitions. Its names are derived from what is said, so that nothing is said twice."""

    def __init__(self, cluster: Cluster, metrics: Metrics) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._letters: asyncio.Queue[_Letter] = asyncio.Queue(maxsize=10_000)

    def emit(self, kind: str, metadata: ObjectMeta, notice: Notice) -> None:
        """Ask for an Event about a job to be posted."""
        try:
            self._letters.put_nowait(_Letter(kind, metadata, notice, datetime.now(UTC)))
        except asyncio.QueueFull:
            self._metrics.events_dropped.labels("overflow").inc()
            words = about(kind, metadata.namespace, metadata.name, metadata.uid)
            logger.warning("event dropped", extra={**words, "reason": notice.reason})

    async def run(self) -> None:
        """Post Events until cancelled."""
        while True:
            letter = await self._letters.get()
            try:
                await self._post(letter)
            except Exception as error:  # noqa: BLE001 - one Event that cannot be posted must not keep the next from it
                self._dropped(letter, error)
            finally:
                self._letters.task_done()

    async def flush(self) -> None:
        """Wait until all that was asked for is posted or given up."""
        await self._letters.join()

    async def _post(self, letter: _Letter) -> None:
        path = EVENTS.path(letter.metadata.namespace)
        for wait in range(_TRIES):
            try:
                await self._cluster.write("POST", path, _event(letter))
            except NotLeading:
                raise
            except ApiError as error:
                if error.status == 409:
                    return
                if error.final or error.status in {403, 404} or wait == _TRIES - 1:
                    raise
                await asyncio.sleep(error.retry_after or 2**wait)
            else:
                self._metrics.events_posted.inc()
                return

    def _dropped(self, letter: _Letter, error: Exception) -> None:
        self._metrics.events_dropped.labels("not leading" if isinstance(error, NotLeading) else "refused").inc()
        words = about(letter.kind, letter.metadata.namespace, letter.metadata.name, letter.metadata.uid)
        extra = {**words, "reason": letter.notice.reason, "error": str(error)}
        logger.warning("event refused", extra=extra, exc_info=None if isinstance(error, ApiError) else error)


def _event(letter: _Letter) -> Json:
    metadata, notice = letter.metadata, letter.notice
    said = f"{metadata.uid}|{notice.type}|{notice.reason}|{notice.message}|{notice.occasion}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name[:230].rstrip('-.')}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
            "namespace": metadata.namespace,
        },
        "regarding": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": letter.kind,
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": notice.type,
        "reason": notice.reason,
        "note": notice.message.encode()[:_NOTE_BYTES].decode(errors="ignore"),
        "action": notice.action,
        "eventTime": letter.moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": _CONTROLLER,
        "reportingInstance": socket.gethostname()[:128],
    }
