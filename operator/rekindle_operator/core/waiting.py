"""Why a job whose child exists does not run yet."""

from datetime import datetime, timedelta

from rekindle_crds import Reason, Waiting
from rekindle_operator.core.attempts import History
from rekindle_operator.core.observed import Observed, Pod

STARTING_IS_NORMAL = timedelta(seconds=5)
"""A pod that starts within this time is not worth a write."""

_PULL = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def waiting_for_pod(observed: Observed, history: History, now: datetime) -> tuple[Waiting, datetime | None]:
    """Return why no container of the child runs, and when that has to be looked at again by itself."""
    pods = [pod for pod in observed.pods if not pod.ended]
    if not pods:
        return _without_pod(history), None
    pod = max(pods, key=lambda pod: pod.created)
    trouble = _trouble(pod, observed.status.waiting)
    if trouble is not None:
        return trouble, None
    if pod.scheduled_at is None:
        return _without_pod(history), None
    due = pod.scheduled_at + STARTING_IS_NORMAL
    if now < due:
        return observed.status.waiting or _without_pod(history), due
    message = f"Pod {pod.name} is on node {pod.node_name}; its container starts."
    return Waiting(reason=Reason.CONTAINER_STARTING, message=message), None


def _without_pod(history: History) -> Waiting:
    last = history.last
    if last is None or last.reason is None:
        return Waiting(reason=Reason.WAITING_FOR_POD, message="The child Job exists; its pod is being made.")
    message = f"Attempt {last.number} ended with {last.reason}; the next one starts after a back-off."
    return Waiting(reason=Reason.RETRYING, message=message)


def _trouble(pod: Pod, written: Waiting | None) -> Waiting | None:
    if pod.unschedulable is not None:
        return Waiting(reason=Reason.UNSCHEDULABLE, message=pod.unschedulable)
    reason, message = pod.container.waiting_reason, pod.container.waiting_message
    if reason in _CONFIG:
        return Waiting(reason=Reason.CONTAINER_CONFIG_ERROR, message=f"{reason}: {message}")
    if reason not in _PULL:
        return None
    # The kubelet alternates between the error and its back-off; the error says more and is written once.
    if reason == "ImagePullBackOff" and written is not None and written.reason == Reason.IMAGE_PULL_FAILED:
        return written
    return Waiting(reason=Reason.IMAGE_PULL_FAILED, message=f"{reason}: {message}")
