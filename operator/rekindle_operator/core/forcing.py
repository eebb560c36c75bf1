"""Pods that stay Terminating on a node that is gone: when they are removed by force."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rekindle_operator.core.decision import ForceDeletePod
from rekindle_operator.core.observed import Pod

FORCE_AFTER = timedelta(seconds=60)
"""How long a pod may stay Terminating past its grace period, as it does on a node that is gone."""


def force_at(pod: Pod) -> datetime | None:
    """Return when a pod is to be removed by force; None when it is not being deleted."""
    return None if pod.deletion is None or pod.ended else pod.deletion + FORCE_AFTER


def force(pods: Iterable[Pod], now: datetime) -> tuple[ForceDeletePod, ...]:
    """Return the removals that are due."""
    due = [(pod, force_at(pod)) for pod in pods]
    return tuple(ForceDeletePod(pod.name, pod.uid) for pod, at in due if at is not None and at <= now)
