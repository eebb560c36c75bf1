"""One pod's life on the node: volumes, containers, status, and its removal when it was deleted."""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from rekindle_dev.node import volumes
from rekindle_dev.node.apiserver import UNREACHABLE, ApiError, Object
from rekindle_dev.node.container import ContainerRunner, Facilities, Surroundings
from rekindle_dev.node.events import Event, of_change, of_verdict
from rekindle_dev.node.sources import MissingError
from rekindle_dev.node.states import (
    Container,
    Phase,
    Running,
    Terminated,
    Verdict,
    Waiting,
    from_object,
    lost,
    now,
    phase,
)
from rekindle_dev.node.status import pod_status
from rekindle_dev.node.statuswriter import StatusWriter, remove
from rekindle_dev.node.stopping import Stop
from rekindle_dev.node.support import refusal

_VOLUME_RETRY = 0.5  # seconds
_EVICTION_GRACE = 1.0  # seconds
_log = logging.getLogger(__name__)


class PodRunner:
    """Runs one pod that is bound to this node; `run` returns when the pod is gone from the API."""

    def __init__(self, node: Facilities, pod: Object, folder: Path) -> None:
        self.pod = pod
        self.folder = folder
        self.containers: dict[str, ContainerRunner] = {}
        """Those that have been started, by name."""
        self._node = node
        self.known = from_object(pod)
        """What is known of each container, by name."""
        self._conditions = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
        self._started_at = pod.get("status", {}).get("startTime") or now()
        self._sandbox = False
        self._ended = False
        self._verdict: Verdict | None = None
        self._stop = Stop()
        self._gone, self._deleted = asyncio.Event(), asyncio.Event()
        self._writer = StatusWriter(node.api, pod)
        self.see(pod)

    @property
    def volumes_folder(self) -> Path:
        """Where the pod's own volumes lie."""
        return self.folder / "volumes"

    def see(self, pod: Object) -> None:
        """Take note of the pod's newest form; a deleted pod is stopped within its grace period."""
        self.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._deleted.set()
            self._stop.within(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        elif _is_final(pod) and not self._ended:  # somebody else declared its end
            self._stop.within(pod["spec"].get("terminationGracePeriodSeconds", 30))

    def vanish(self) -> None:
        """Kill what is left of a pod that is no longer in the API."""
        self._gone.set()
        self._deleted.set()
        self._stop.within(0)

    def evict(self, message: str) -> None:
        """End the pod for using more than it may."""
        self._end_early(Verdict("Evicted", message), _EVICTION_GRACE)

    async def run(self) -> None:
        """Live the pod's life: run it, tell its end, and remove it once it was deleted."""
        writing = asyncio.create_task(self._writer.run())
        try:
            if not _is_final(self.pod):
                await self._until_ended()
                self._tell_end()
            await asyncio.to_thread(_clear, self.volumes_folder)
            await self._deleted.wait()
            await self._writer.flushed()
            if not self._gone.is_set():
                await remove(self._node.api, self.pod)
            await self._gone.wait()
            await asyncio.to_thread(_clear, self.folder)
        finally:
            writing.cancel()

    async def _until_ended(self) -> None:
        if (self.folder / "logs").exists() or any(not isinstance(c.state, Waiting) for c in self.known.values()):
            return  # an earlier run of the node had started it: its containers are lost
        if reason := refusal(self.pod):
            self._verdict = Verdict("UnsupportedPod", reason)
            return
        deadline = None
        if seconds := self.pod["spec"].get("activeDeadlineSeconds"):
            over = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            grace = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
            deadline = asyncio.get_running_loop().call_later(seconds, self._end_early, over, grace)
        try:
            await self._run_containers()
        except Exception as error:  # noqa: BLE001 - a fault here must end the pod, not hang it
            metadata = self.pod["metadata"]
            _log.exception("pod failed on the node namespace=%s pod=%s", metadata["namespace"], metadata["name"])
            self._verdict = Verdict("UnexpectedError", f"The process node failed: {error!r}")
        finally:
            if deadline:
                deadline.cancel()

    async def _run_containers(self) -> None:
        if self.pod["spec"].get("initContainers"):
            self.known = {name: Container(name, Waiting("PodInitializing")) for name in self.known}
        self._publish()
        folders = await self._make_volumes()
        if folders is None:
            return
        self._sandbox = True
        around = Surroundings(self._node, self.folder, folders, lambda: self.pod, self._stop)
        for spec in self.pod["spec"].get("initContainers", []):
            await self._run_container(spec["name"], around)
            if not _succeeded(self.known[spec["name"]]):
                return
        async with asyncio.TaskGroup() as group:
            for spec in self.pod["spec"]["containers"]:
                group.create_task(self._run_container(spec["name"], around))

    async def _run_container(self, name: str, around: Surroundings) -> None:
        runner = ContainerRunner(self.known[name], around, self._report)
        self.containers[name] = runner
        await runner.run()

    async def _make_volumes(self) -> Mapping[str, Path] | None:
        """Return the folders of the volumes as soon as all of them can be made; None when the pod is stopped first."""
        told = ""
        while not self._stop.asked.is_set():
            try:
                return await volumes.prepare(self._node.api, self.pod, self.volumes_folder)
            except (MissingError, ApiError, *UNREACHABLE) as error:
                if str(error) != told:
                    told = str(error)
                    self._node.events.record(self.pod, Event("FailedMount", f"MountVolume.SetUp failed: {told}"))
            await self._stop.asked_within(_VOLUME_RETRY)
        return None

    def _end_early(self, verdict: Verdict, grace: float) -> None:
        if self._verdict is None and not self._ended:
            self._verdict = verdict
            self._stop.within(grace)

    def _report(self, container: Container) -> None:
        if event := of_change(self.known[container.name], container):
            self._node.events.record(self.pod, event)
        self.known[container.name] = container
        if not phase(self.pod, self.known).final:  # the end is told once, with its verdict
            self._publish()

    def _tell_end(self) -> None:
        self._ended = True
        if self._verdict:
            self._node.events.record(self.pod, of_verdict(self._verdict))
        refused = self._verdict is not None and not self._sandbox
        initialized = all(_succeeded(self.known[spec["name"]]) for spec in self.pod["spec"].get("initContainers", []))
        for name, container in self.known.items():
            if isinstance(container.state, Running) or (initialized and not refused):
                self.known[name] = lost(container)
        self._publish()

    def _publish(self) -> None:
        status = pod_status(
            self.pod,
            self.known,
            before=self._conditions,
            started_at=self._started_at,
            sandbox=self._sandbox,
            verdict=self._verdict if self._ended else None,
            ended=self._ended,
        )
        self._conditions |= {condition["type"]: condition for condition in status["conditions"]}
        self._writer.publish(status)


def _is_final(pod: Object) -> bool:
    return Phase(pod.get("status", {}).get("phase", Phase.PENDING)).final


def _succeeded(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 0


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
