"""Writes to the API for one pod: the newest status, again until it stands, and the removal of a deleted pod."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rekindle_dev.node.apiserver import STRATEGIC_MERGE_PATCH, UNREACHABLE, ApiError, ApiServer, Object, pod_path

_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0  # seconds
_log = logging.getLogger(__name__)


class StatusWriter:
    """Writes the newest published status of a pod; one that a newer overtakes before it is sent is never sent."""

    def __init__(self, api: ApiServer, pod: Object) -> None:
        self._api = api
        self._path = f"{pod_path(pod)}/status"
        self._uid = pod["metadata"]["uid"]
        self._wanted: Object = {}
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def publish(self, status: Object) -> None:
        """Have this status written soon."""
        if status != self._wanted:
            self._wanted = status
            self._settled.clear()
            self._news.set()

    async def flushed(self) -> None:
        """Wait until the newest status is written, or the pod is gone."""
        await self._settled.wait()

    async def run(self) -> None:
        """Write what is published, for ever."""
        while True:
            await self._news.wait()
            await _until_accepted(self._write)
            if not self._news.is_set():
                self._settled.set()

    async def _write(self) -> None:
        self._news.clear()
        # The uid makes the API server refuse the patch for a newer pod of the same name.
        body = {"metadata": {"uid": self._uid}, "status": self._wanted}
        await self._api.request("PATCH", self._path, body=body, content_type=STRATEGIC_MERGE_PATCH)


async def remove(api: ApiServer, pod: Object) -> None:
    """Remove a deleted pod whose containers have ended from the API; its finalizers may keep it for a while."""
    body = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": pod["metadata"]["uid"]},
    }
    await _until_accepted(lambda: api.request("DELETE", pod_path(pod), body=body))


async def _until_accepted(send: Callable[[], Awaitable[object]]) -> None:
    """Send again until the API server accepts, or says that the pod is no longer there."""
    pause = _FIRST_RETRY
    while True:
        try:
            await send()
        except ApiError as error:
            if error.code in {404, 409}:
                return
            _log.warning("pod not written error=%s", error)
        except UNREACHABLE as error:
            _log.warning("pod not written error=%r", error)
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LAST_RETRY)
