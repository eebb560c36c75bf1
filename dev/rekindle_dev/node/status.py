"""The status of a pod in the shapes that a kubelet writes. Nothing here acts.

References:
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rekindle_dev.node.apiserver import Object
from rekindle_dev.node.states import ADDRESS, Container, Phase, Running, State, Terminated, Verdict, Waiting, now, phase


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
        "PodScheduled": {"status": "True"},
    }
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
        status["resources"] = spec.get("resources", {})
    if requests := spec.get("resources", {}).get("requests"):
        status["allocatedResources"] = requests
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
