"""Engine: a container image that can process photos, and how to run it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from rekindle_crds.meta import (
    API_VERSION,
    DNS_LABEL,
    LIST_ATOMIC,
    LIST_SET,
    ApiVersion,
    Condition,
    Contract,
    ObjectMeta,
    ObjectName,
    cel,
    list_map,
    one_of_each,
)

Quantity = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
            "pattern": r"^[0-9]+(\.[0-9]+)?([eE][0-9]+|[numkMGTPE]|[KMGTPE]i)?$",
        }
    ),
]
"""An amount in Kubernetes' notation, for example 500m or 2Gi."""

LabelValue = Annotated[str, StringConstraints(max_length=63)]
Resources = Annotated[dict[str, Quantity], Field(max_length=16)]


class Operation(StrEnum):
    """What an engine can do to a photo."""

    RESTORE = "Restore"
    ANIMATE = "Animate"


class SecretKeyReference(Contract):
    """One key of a Secret."""

    name: ObjectName
    """Name of the Secret in the namespace of the Engine."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Key in the Secret."""


class EnvironmentSource(Contract):
    """Where the value of an environment variable comes from."""

    secret_key_ref: SecretKeyReference
    """The key of a Secret."""


class EnvironmentVariable(Contract):
    """One environment variable of the container: exactly one of value and valueFrom."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom"),
                cel("!self.name.startsWith('REKINDLE_')", "names that start with REKINDLE_ are set by the operator"),
            ]
        }
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """Its value, in clear text: never a secret."""
    value_from: EnvironmentSource | None = None
    """Where its value comes from."""


class LocalObjectReference(Contract):
    """The name of another object in the same namespace."""

    name: ObjectName
    """Name of the object."""


class ResourceRequirements(Contract):
    """Processor and memory of the container."""

    requests: Resources = {}
    """What the scheduler reserves, for example cpu: 500m, memory: 1Gi."""
    limits: Resources = {}
    """What the container may not exceed, for example memory: 3Gi, nvidia.com/gpu: 1."""


class Toleration(Contract):
    """A taint of nodes that the pod accepts."""

    key: Annotated[str, StringConstraints(max_length=316)] | None = None
    """Key of the taint; every taint when left out, which needs the operator Exists."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Whether the value counts."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when left out."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """How long a NoExecute taint is tolerated; without end when left out."""


class Weights(Contract):
    """A volume with the engine's model weights."""

    persistent_volume_claim: LocalObjectReference
    """PersistentVolumeClaim that holds the weights; mounted read-only, its path is in REKINDLE_WEIGHTS_DIR."""


class EngineSpec(Contract):
    """Which image processes photos, and how its pods look."""

    operations: Annotated[list[Operation], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)]
    """What the engine can do."""
    image: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """Container image."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled; Kubernetes' own default when left out."""
    image_pull_secrets: Annotated[
        list[LocalObjectReference], Field(max_length=8, json_schema_extra=list_map("name"))
    ] = []
    """Secrets with the credentials of the image's registry."""
    command: Annotated[
        list[Annotated[str, StringConstraints(max_length=1024)]], Field(max_length=32, json_schema_extra=LIST_ATOMIC)
    ] = []
    """Command and arguments; the image's own entry point when left out."""
    env: Annotated[list[EnvironmentVariable], Field(max_length=64, json_schema_extra=list_map("name"))] = []
    """Environment variables, for example the S3 endpoint, or S3 credentials from a Secret."""
    resources: ResourceRequirements = ResourceRequirements()
    """Processor and memory of the container."""
    scratch_size: Quantity = "2Gi"
    """Size limit of the writable scratch volume; its path is in REKINDLE_SCRATCH_DIR."""
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)] = {}
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16, json_schema_extra=LIST_ATOMIC)] = []
    """Taints of nodes that the pods accept."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, for example nvidia."""
    service_account_name: Annotated[ObjectName, StringConstraints(pattern=DNS_LABEL)] | None = None
    """ServiceAccount of the pods, for S3 access by IAM roles; no Kubernetes token is mounted."""
    weights: Weights | None = None
    """Volume with model weights."""
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """At most this many jobs run on the Engine at once; the others wait, by priority, then fair between owners (label
    rekindle.dev/owner), then first come. Jobs that name a Kueue queue are not counted."""
    default: bool = False
    """Whether jobs that name no Engine use this one. Among several defaults the oldest is taken."""


class Speed(Contract):
    """How fast an Engine was of late."""

    operation: Operation
    """What was done."""
    milliseconds_per_megapixel: Annotated[int, Field(ge=0, le=2**53)]
    """Processing time per megapixel of the source; the last results count most."""


class EngineStatus(Contract):
    """What the operator knows of the engine."""

    observed_generation: int = -1
    """The metadata.generation that this status was computed from."""
    conditions: Annotated[list[Condition], Field(max_length=8, json_schema_extra=list_map("type"))] = []
    """Ready: whether jobs can use the Engine."""
    running: Annotated[int, Field(ge=0)] | None = None
    """How many jobs run on it now."""
    waiting: Annotated[int, Field(ge=0)] | None = None
    """How many jobs wait for it now."""
    speeds: Annotated[
        list[Speed], Field(max_length=8, json_schema_extra=list_map("operation")), one_of_each("operation")
    ] = []
    """Measured processing time for each operation."""


class Engine(Contract):
    """Engine names a container image that can process photos, and how its pods are run."""

    api_version: ApiVersion = API_VERSION
    kind: Literal["Engine"] = "Engine"
    metadata: ObjectMeta
    spec: EngineSpec
    """Which image processes photos, and how its pods look."""
    status: EngineStatus = EngineStatus()
    """What the operator knows of the engine."""
