"""The child of a job: one batch/v1 Job per run, as a manifest."""

from typing import Any

from rekindle_crds import GROUP, VERSION, Label, SourceLocation, Task
from rekindle_crds.engine import Engine, EngineSpec, Toleration
from rekindle_crds.exits import INPUT_FAULTS
from rekindle_crds.labels import MANAGED_BY_VALUE
from rekindle_crds.task import (
    POD_UID_VARIABLE,
    SCRATCH_VARIABLE,
    TASK_VARIABLE,
    TERMINATION_LOG_VARIABLE,
    WEIGHTS_VARIABLE,
)
from rekindle_operator.core.decision import CreateChild
from rekindle_operator.core.engines import template_of
from rekindle_operator.core.observed import CONTAINER, QUEUE_LABEL, Observed

GRACE_SECONDS = 30
TOLERATED_SECONDS = 60
"""How long a pod stays on a node that is unreachable or not ready."""

_NAME_LENGTH = 63
_KEPT_SECONDS = 86_400
"""How long an ended child Job and its pods, with their logs, stay; what counts is in the status of the job by then."""
_SCRATCH = "/scratch"
_WEIGHTS = "/weights"
_TERMINATION_LOG = "/dev/termination-log"


def child_name(name: str, letter: str, uid: str, run: int) -> str:
    """Return the name of a run's child Job: the same at every try, and at most 63 characters."""
    suffix = f"-{letter}{uid[:8]}-{run}"
    return name.replace(".", "-")[: _NAME_LENGTH - len(suffix)].rstrip("-") + suffix


def label_value(text: str) -> str:
    """Return a name as a label's value: cut to 63 characters, ending as labels must."""
    return text[:_NAME_LENGTH].rstrip("-._")


def child_manifest(observed: Observed, action: CreateChild) -> dict[str, Any]:
    """Return the batch/v1 Job that does one run of a job on an Engine."""
    metadata, engine = observed.metadata, action.engine
    labels = {
        Label.MANAGED_BY.value: MANAGED_BY_VALUE,
        Label.JOB_KIND.value: observed.kind.kind,
        Label.JOB_NAME.value: label_value(metadata.name),
        Label.JOB_UID.value: metadata.uid,
        Label.RUN.value: str(action.run),
        Label.ENGINE.value: label_value(engine.metadata.name),
    }
    owner = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": observed.kind.kind,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    queue = observed.spec.queue_name
    queued = {QUEUE_LABEL: queue} if queue is not None else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": child_name(metadata.name, observed.kind.letter, metadata.uid, action.run),
            "namespace": metadata.namespace,
            "labels": labels | queued,
            "annotations": {
                Label.ENGINE.value: engine.metadata.name,
                Label.TEMPLATE.value: template_of(engine.spec),
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": action.backoff_limit,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            **({"suspend": True} if queued else {}),
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod_spec(
                    engine.spec, _task(observed, engine, action.source), observed.spec.priority_class_name
                ),
            },
        },
    }


def _task(observed: Observed, engine: Engine, source: SourceLocation) -> Task:
    return Task(
        operation=observed.kind.operation,
        namespace=observed.metadata.namespace,
        name=observed.metadata.name,
        engine=engine.metadata.name,
        image=engine.spec.image,
        source=source,
        output=observed.kind.output(observed.job),
        **observed.kind.parameters(observed.job),
    )


def _failure_rules() -> list[dict[str, Any]]:
    """The order counts: a fault of the input stays one even when the pod is being evicted."""
    faults = {"containerName": CONTAINER, "operator": "In", "values": list(INPUT_FAULTS)}
    return [
        {"action": "FailJob", "onExitCodes": faults},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _pod_spec(engine: EngineSpec, task: Task, priority_class: str | None) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [{"name": "scratch", "emptyDir": {"sizeLimit": engine.scratch_size}}]
    if engine.weights is not None:
        claim = {"claimName": engine.weights.persistent_volume_claim.name, "readOnly": True}
        volumes.append({"name": "weights", "persistentVolumeClaim": claim})
    optional = {
        "imagePullSecrets": [secret.wire() for secret in engine.image_pull_secrets],
        "nodeSelector": engine.node_selector,
        "runtimeClassName": engine.runtime_class_name,
        "serviceAccountName": engine.service_account_name,
        "priorityClassName": priority_class,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": [*(toleration.wire() for toleration in engine.tolerations), *_node_tolerations(engine)],
        "containers": [_container(engine, task)],
        "volumes": volumes,
        **{key: value for key, value in optional.items() if value},
    }


def _node_tolerations(engine: EngineSpec) -> list[dict[str, Any]]:
    taints = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    named = {toleration.key for toleration in engine.tolerations}
    return [
        Toleration(key=taint, operator="Exists", effect="NoExecute", toleration_seconds=TOLERATED_SECONDS).wire()
        for taint in taints
        if taint not in named
    ]


def _task_value(task: Task) -> str:
    """Return the task as JSON without a dollar sign: Kubernetes would put other variables, secrets too, for $(NAME)."""
    return task.model_dump_json(by_alias=True, exclude_none=True).replace("$", r"\u0024")


def _container(engine: EngineSpec, task: Task) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"name": "scratch", "mountPath": _SCRATCH}]
    environment: list[dict[str, Any]] = [
        *(variable.wire() for variable in engine.env),
        {"name": TASK_VARIABLE, "value": _task_value(task)},
        {"name": POD_UID_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": SCRATCH_VARIABLE, "value": _SCRATCH},
        {"name": TERMINATION_LOG_VARIABLE, "value": _TERMINATION_LOG},
    ]
    if engine.weights is not None:
        mounts.append({"name": "weights", "mountPath": _WEIGHTS, "readOnly": True})
        environment.append({"name": WEIGHTS_VARIABLE, "value": _WEIGHTS})
    optional = {
        "command": engine.command,
        "imagePullPolicy": engine.image_pull_policy,
        "resources": {key: value for key, value in engine.resources.wire().items() if value},
    }
    return {
        "name": CONTAINER,
        "image": engine.image,
        "env": environment,
        "volumeMounts": mounts,
        "terminationMessagePath": _TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **{key: value for key, value in optional.items() if value},
    }
