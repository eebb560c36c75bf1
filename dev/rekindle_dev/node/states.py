"""What a node knows of a pod: the states of its containers, its phase, and why the node itself ended it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from rekindle_dev.node.apiserver import Object

ADDRESS = "127.0.0.1"
"""The address of the node and of each pod: their processes share this machine's loopback."""


class Phase(StrEnum):
    """Where a pod is in its life."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        """Whether the pod's containers have ended for good."""
        return self in {Phase.SUCCEEDED, Phase.FAILED}


@dataclass(frozen=True)
class Waiting:
    """A container that has not started, or waits for its next start."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True)
class Running:
    """A container whose process runs."""

    started_at: str


@dataclass(frozen=True)
class Terminated:
    """A container whose process has ended."""

    exit_code: int
    reason: str
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = ""


State = Waiting | Running | Terminated

LOST = Terminated(137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated")
"""A container that was running and of which nothing is known any more."""


@dataclass(frozen=True)
class Container:
    """What is known of one container of a pod."""

    name: str
    state: State = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    container_id: str = ""
    image_id: str = ""


@dataclass(frozen=True)
class Verdict:
    """Why the node itself ended a pod."""

    reason: str
    message: str


def now() -> str:
    """Return the time in the form of the Kubernetes API."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def from_object(pod: Object) -> dict[str, Container]:
    """Return what a pod's status tells of its containers, by name; those it does not tell of are waiting."""
    told = {
        status["name"]: status
        for field in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(field, [])
    }
    return {spec["name"]: _known(spec["name"], told.get(spec["name"], {})) for spec in all_containers(pod)}


def all_containers(pod: Object) -> list[Object]:
    """Return the specifications of a pod's init containers and containers."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def lost(container: Container) -> Container:
    """Return a container that has not terminated as one that is lost."""
    if isinstance(container.state, Terminated):
        return container
    started = container.state.started_at if isinstance(container.state, Running) else None
    return replace(container, state=replace(LOST, started_at=started, container_id=container.container_id))


def phase(pod: Object, containers: Mapping[str, Container]) -> Phase:
    """Return the phase that follows from the states of a pod's containers."""
    policy = pod["spec"].get("restartPolicy", "Always")
    for spec in pod["spec"].get("initContainers", []):
        state = containers[spec["name"]].state
        if not isinstance(state, Terminated):
            return Phase.PENDING
        if state.exit_code:
            return Phase.FAILED if policy == "Never" else Phase.PENDING
    mains = [containers[spec["name"]] for spec in pod["spec"]["containers"]]
    if any(isinstance(c.state, Waiting) and c.last is None for c in mains):
        return Phase.PENDING
    ends = [c.state for c in mains if isinstance(c.state, Terminated)]
    if len(ends) < len(mains) or policy == "Always":
        return Phase.RUNNING
    if all(end.exit_code == 0 for end in ends):
        return Phase.SUCCEEDED
    return Phase.FAILED if policy == "Never" else Phase.RUNNING


def _known(name: str, status: Object) -> Container:
    return Container(
        name,
        _parsed(status.get("state", {})),
        last if isinstance(last := _parsed(status.get("lastState", {})), Terminated) else None,
        status.get("restartCount", 0),
        status.get("containerID", ""),
        status.get("imageID", ""),
    )


def _parsed(state: Object) -> State:
    if running := state.get("running"):
        return Running(running["startedAt"])
    if ended := state.get("terminated"):
        return Terminated(
            ended["exitCode"],
            ended.get("reason", ""),
            ended.get("message", ""),
            ended.get("startedAt"),
            ended.get("finishedAt"),
            ended.get("containerID", ""),
        )
    waiting = state.get("waiting", {})
    return Waiting(waiting.get("reason", "ContainerCreating"), waiting.get("message", ""))
