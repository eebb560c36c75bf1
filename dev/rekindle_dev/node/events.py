"""Events about pods, as `kubectl describe` shows them: which change is worth one, and how they are written."""

import asyncio
import logging
import secrets
from dataclasses import dataclass

from rekindle_dev.node.apiserver import UNREACHABLE, ApiError, ApiServer, Object
from rekindle_dev.node.states import Container, Running, Terminated, Verdict, Waiting, now

_MOST_WAITING = 1000
_LONGEST_MESSAGE = 1024  # characters, as the API server allows
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that happened to a pod or to one of its containers."""

    reason: str
    message: str
    warning: bool = True
    container: str = ""


def of_change(before: Container, after: Container) -> Event | None:
    """Return the event that a container's change of state deserves."""
    if before.state == after.state:
        return None
    match after.state:
        case Waiting(reason="ErrImagePull" | "ErrImageNeverPull" | "CreateContainerConfigError", message=message):
            return Event("Failed", f"Error: {message}", container=after.name)
        case Waiting(reason="ImagePullBackOff" | "CrashLoopBackOff", message=message):
            return Event("BackOff", message, container=after.name)
        case Running():
            return Event("Started", f"Started container {after.name}", warning=False, container=after.name)
        case Terminated(reason="StartError" | "OOMKilled" as reason, message=message):
            return Event("Failed", f"Error: {message or reason}", container=after.name)
        case _:
            return None


def of_verdict(verdict: Verdict) -> Event:
    """Return the event that tells why the node ended a pod."""
    return Event(verdict.reason, verdict.message)


class EventRecorder:
    """Writes events one after the other; a pod never waits for its events, and too many are dropped."""

    def __init__(self, api: ApiServer, node: str) -> None:
        self._api, self._node = api, node
        self._queue: asyncio.Queue[tuple[Object, Event, str]] = asyncio.Queue(_MOST_WAITING)

    def record(self, pod: Object, event: Event) -> None:
        """Have this event of a pod written."""
        try:
            self._queue.put_nowait((pod, event, now()))
        except asyncio.QueueFull:
            _log.warning("event dropped reason=%s pod=%s", event.reason, pod["metadata"]["name"])

    async def run(self) -> None:
        """Write what is recorded, for ever."""
        while True:
            pod, event, time = await self._queue.get()
            body = self._object(pod, event, time)
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/events"
            try:
                await self._api.request("POST", path, body=body)
            except (ApiError, *UNREACHABLE) as error:  # the namespace may be on its way out
                _log.info("event not written reason=%s error=%s", event.reason, error)

    def _object(self, pod: Object, event: Event, time: str) -> Object:
        metadata = pod["metadata"]
        involved = {key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")}
        if event.container:
            involved["fieldPath"] = f"spec.containers{{{event.container}}}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", **involved},
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "message": event.message[:_LONGEST_MESSAGE],
            "source": {"component": "process-node", "host": self._node},
            "reportingComponent": "process-node",
            "reportingInstance": self._node,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
