"""Why a job whose child exists does not run yet."""

from datetime import datetime, timedelta

from rekindle_crds import Reason, Waiting
from rekindle_operator.core.attempts import History
from rekindle_operator.core.observed import Child, Observed, Pod

STARTING_IS_NORMAL = timedelta(seconds=5)
"""A pod that starts within this time is not worth a write."""

MAKING_IS_NORMAL = timedelta(seconds=10)
"""How long the Job controller may take to make a pod before it is asked why there is none."""
TROUBLE_PERIOD = timedelta(seconds=30)

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
        return _refused(observed) or _without_pod(history), None
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


def trouble_due(observed: Observed, child: Child) -> datetime | None:
    """Return when to ask why a child has no pod; None when its creation time is not known."""
    if observed.trouble is not None:
        return observed.trouble.at + TROUBLE_PERIOD
    return None if child.created is None else child.created + MAKING_IS_NORMAL


def _refused(observed: Observed) -> Waiting | None:
    """Return that the API server refuses the pods, if it does."""
    if observed.trouble is None or not observed.trouble.message:
        return None
    message = observed.trouble.message
    return Waiting(reason=refusal_of(message) or Reason.POD_REFUSED, message=message)


def refusal_of(message: str) -> Reason | None:
    """Return why the API server forbids an object, where its message tells a cause that passes."""
    if "exceeded quota" in message:
        return Reason.QUOTA_EXCEEDED
    return Reason.NAMESPACE_TERMINATING if "because it is being terminated" in message else None


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
