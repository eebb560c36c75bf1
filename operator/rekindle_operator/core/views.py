"""Reading of Kubernetes' Jobs and Pods, in the shapes that the API server sends, into observed values."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rekindle_crds import Label
from rekindle_operator.core.observed import CONTAINER, QUEUE_LABEL, Child, Container, Pod

Raw = Mapping[str, Any]

_UNSCHEDULABLE = {"Unschedulable", "SchedulerError"}


def moment(text: str | None) -> datetime | None:
    """Return a Kubernetes timestamp, with or without fractions of a second, as a datetime."""
    if not text:
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def resource_version(raw: Raw) -> int:
    """Return the resource version as a number: versions of one type can be compared since Kubernetes 1.35."""
    return _number(raw.get("metadata", {}).get("resourceVersion"))


def _number(text: str | None) -> int:
    """Return a number; 0 for what is none, since anybody can write a label."""
    return int(text) if text and text.isdecimal() else 0


def owner_uid(raw: Raw) -> str:
    """Return the uid of the job that a Job or Pod works for, from its label."""
    return str(raw["metadata"].get("labels", {}).get(Label.JOB_UID, ""))


def controller_uid(raw: Raw) -> str:
    """Return the uid of the object that controls this one."""
    owners = raw["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _true_conditions(raw: Raw) -> dict[str, Raw]:
    conditions = raw.get("status", {}).get("conditions") or []
    return {condition["type"]: condition for condition in conditions if condition.get("status") == "True"}


def child_of(raw: Raw) -> Child:
    """Return what matters of a batch/v1 Job."""
    metadata, conditions = raw["metadata"], _true_conditions(raw)
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    return Child(
        name=metadata["name"],
        uid=metadata["uid"],
        run=_number(labels.get(Label.RUN)),
        created=moment(metadata.get("creationTimestamp")),
        resource_version=resource_version(raw),
        engine=annotations.get(Label.ENGINE, ""),
        template=annotations.get(Label.TEMPLATE, ""),
        complete="Complete" in conditions or "SuccessCriteriaMet" in conditions,
        failure=None if failed is None else failed.get("message") or failed.get("reason") or "Failed",
        deleting=bool(metadata.get("deletionTimestamp")),
        suspended=bool(raw.get("spec", {}).get("suspend")),
        queued=QUEUE_LABEL in labels,
    )


def _container_of(statuses: list[Raw]) -> Container:
    status = next((status for status in statuses if status.get("name") == CONTAINER), {})
    state = status.get("state") or {}
    ended = state.get("terminated")
    if ended is not None:
        return Container(
            started_at=moment(ended.get("startedAt")),
            finished_at=moment(ended.get("finishedAt")),
            exit_code=int(ended.get("exitCode", 0)),
            termination_reason=ended.get("reason"),
            termination_message=ended.get("message") or "",
        )
    running = state.get("running")
    if running is not None:
        return Container(started_at=moment(running.get("startedAt")))
    waiting = state.get("waiting") or {}
    return Container(waiting_reason=waiting.get("reason"), waiting_message=waiting.get("message") or "")


def pod_of(raw: Raw, *, gone: bool = False) -> Pod:
    """Return what matters of a Pod; `gone` when it was taken from the event of its removal."""
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    scheduled, disruption = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    unschedulable = scheduled.get("status") == "False" and scheduled.get("reason") in _UNSCHEDULABLE
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=moment(metadata["creationTimestamp"]) or datetime.fromtimestamp(0, UTC),
        child_uid=controller_uid(raw),
        resource_version=resource_version(raw),
        phase=status.get("phase") or "Pending",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        node_name=spec.get("nodeName"),
        scheduled_at=moment(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        unschedulable=(scheduled.get("message") or "no node can take the pod") if unschedulable else None,
        disruption=_disruption(disruption),
        deletion=moment(metadata.get("deletionTimestamp")),
        gone=gone,
        container=_container_of(status.get("containerStatuses") or []),
    )


def _disruption(condition: Raw) -> str | None:
    if condition.get("status") != "True":
        return None
    return f"{condition.get('reason') or 'Unknown'}: {condition.get('message') or ''}".rstrip(": ")
