"""The status of a pod in the shapes that a kubelet writes, from what is known of its containers. Nothing here acts.

References:
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

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


def pod_status(
    pod: Object,
    containers: Mapping[str, Container],
    *,
    before: Mapping[str, Object],
    started_at: str,
    sandbox: bool,
    verdict: Verdict | None = None,
    ended: bool = False,
) -> Object:
    """Return the part of a pod's status that its node writes; conditions that others own are not in it.

    Args:
        pod: the pod.
        containers: what is known of each container, by name.
        before: the conditions that the pod had, by type.
        started_at: when the node took the pod.
        sandbox: whether the pod's surroundings (volumes, network) are ready.
        verdict: why the node ended the pod, if it did.
        ended: whether nothing of it will run again, whatever the restart policy says.
    """
    current = phase(pod, containers)
    if verdict or (ended and not current.final):
        current = Phase.FAILED
    status: Object = {
        "phase": current,
        "observedGeneration": pod["metadata"].get("generation", 0),
        "startTime": started_at,
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "conditions": _conditions(pod, containers, current, before, sandbox=sandbox),
        "containerStatuses": [_container_status(spec, containers) for spec in pod["spec"]["containers"]],
    }
    if inits := pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [_container_status(spec, containers, init=True) for spec in inits]
    if sandbox:
        status |= {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
    if verdict:
        status |= {"reason": verdict.reason, "message": verdict.message}
    return status


def _conditions(
    pod: Object, containers: Mapping[str, Container], current: Phase, before: Mapping[str, Object], *, sandbox: bool
) -> list[Object]:
    spec = pod["spec"]
    incomplete = [c["name"] for c in spec.get("initContainers", []) if not _done(containers[c["name"]])]
    unready = [c["name"] for c in spec["containers"] if not isinstance(containers[c["name"]].state, Running)]
    ready: Object = {"status": "True"}
    if current.final:
        ready = {"status": "False", "reason": f"Pod{'Completed' if current is Phase.SUCCEEDED else 'Failed'}"}
    elif unready:
        ready = _false("ContainersNotReady", "containers with unready status", unready)
    initialized: Object = {"status": "True"}
    if incomplete:
        initialized = _false("ContainersNotInitialized", "containers with incomplete status", incomplete)
    elif current is Phase.SUCCEEDED:
        initialized = {"status": "True", "reason": "PodCompleted"}
    wanted: dict[str, Object] = {
        "PodReadyToStartContainers": {"status": "True" if sandbox and not current.final else "False"},
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
    }
    if "PodScheduled" not in before:
        wanted["PodScheduled"] = {"status": "True"}
    return [_condition(pod, kind, values, before.get(kind)) for kind, values in wanted.items()]


def _condition(pod: Object, kind: str, values: Object, before: Object | None) -> Object:
    changed = before is None or before["status"] != values["status"]
    return {
        "type": kind,
        "reason": None,  # an absent field would leave the old value standing
        "message": None,
        **values,
        "lastProbeTime": None,
        "lastTransitionTime": now() if changed or before is None else before["lastTransitionTime"],
        "observedGeneration": pod["metadata"].get("generation", 0),
    }


def _false(reason: str, message: str, names: Sequence[str]) -> Object:
    return {"status": "False", "reason": reason, "message": f"{message}: [{' '.join(names)}]"}


def _done(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 0


def _container_status(spec: Object, containers: Mapping[str, Container], *, init: bool = False) -> Object:
    container = containers[spec["name"]]
    running = isinstance(container.state, Running)
    status: Object = {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": container.image_id,
        "restartCount": container.restarts,
        "ready": _done(container) if init else running,
        "started": running,
        "state": _state(container.state),
        "lastState": _state(container.last) if container.last else {},
    }
    if container.container_id:
        status["containerID"] = container.container_id
    if requests := spec.get("resources", {}).get("requests"):
        status["allocatedResources"] = requests
    if spec.get("resources"):
        status["resources"] = spec["resources"]
    if mounts := spec.get("volumeMounts"):
        status["volumeMounts"] = [_mount_status(mount) for mount in mounts]
    return status


def _mount_status(mount: Object) -> Object:
    read_only = {"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {}
    return {"name": mount["name"], "mountPath": mount["mountPath"], **read_only}


def _state(state: State) -> dict[str, Any]:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(started_at):
            return {"running": {"startedAt": started_at}}
        case Terminated():
            values = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "message": state.message,
                "startedAt": state.started_at,
                "finishedAt": state.finished_at,
                "containerID": state.container_id,
            }
            return {"terminated": {k: v for k, v in values.items() if v not in {None, ""}}}


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
