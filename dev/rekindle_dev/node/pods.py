"""All pods that are bound to the node: each change in the API reaches the runner of its pod."""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from rekindle_dev.node.apiserver import Changed, Listed, Object
from rekindle_dev.node.container import Facilities
from rekindle_dev.node.idle import IdlePod
from rekindle_dev.node.podrunner import PodRunner

_log = logging.getLogger(__name__)


class Pods:
    """The runners of the pods of one node, by uid."""

    def __init__(self, facilities: Facilities, node: str, directory: Path) -> None:
        self._facilities, self._node, self._directory = facilities, node, directory
        self._runners: dict[str, PodRunner | IdlePod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[PodRunner]:
        """Yield the runners of the pods that have processes."""
        return iter([runner for runner in self._runners.values() if isinstance(runner, PodRunner)])

    def find(self, namespace: str, name: str) -> PodRunner | IdlePod | None:
        """Return the runner of the newest pod of this name."""
        found = [
            runner
            for runner in self._runners.values()
            if (runner.pod["metadata"]["namespace"], runner.pod["metadata"]["name"]) == (namespace, name)
        ]
        return found[-1] if found else None

    async def run(self) -> None:
        """Follow the pods in the API, for ever; all of them are killed when this is cancelled."""
        try:
            async for event in self._facilities.api.follow("/api/v1/pods", f"spec.nodeName={self._node}"):
                match event:
                    case Listed(objects):
                        self._see_all(objects)
                    case Changed(pod, gone=True):
                        self._vanish(pod["metadata"]["uid"])
                    case Changed(pod):
                        self._see(pod)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _see_all(self, pods: list[Object]) -> None:
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._runners.keys() - present:
            self._vanish(uid)
        for folder in self._directory.iterdir():
            if folder.name not in present | self._runners.keys():
                shutil.rmtree(folder, ignore_errors=True)
        for pod in pods:
            self._see(pod)

    def _see(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if runner := self._runners.get(uid):
            runner.see(pod)
            return
        metadata = pod["metadata"]
        _log.info("pod taken namespace=%s pod=%s uid=%s", metadata["namespace"], metadata["name"], uid)
        script = self._facilities.images.script(pod)
        runner = (
            PodRunner(self._facilities, pod, self._directory / uid)
            if script is None
            else IdlePod(self._facilities, pod, script)
        )
        self._runners[uid] = runner
        self._tasks[uid] = asyncio.create_task(self._live(uid, runner))

    def _vanish(self, uid: str) -> None:
        if runner := self._runners.get(uid):
            runner.vanish()

    async def _live(self, uid: str, runner: PodRunner | IdlePod) -> None:
        try:
            await runner.run()
        except Exception:  # noqa: BLE001 - one pod's fault must not end the others
            _log.exception("pod runner failed uid=%s", uid)
        finally:
            del self._runners[uid], self._tasks[uid]
