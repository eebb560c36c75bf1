"""The CustomResourceDefinitions, made from the models: the one source of the YAML, the tests' and the demo's CRDs."""

from dataclasses import dataclass
from typing import Any

from rekindle_crds.animation import AnimationJob
from rekindle_crds.engine import Engine
from rekindle_crds.meta import GROUP, VERSION, Contract
from rekindle_crds.restore import RestoreJob
from rekindle_crds.schema import structural_schema, without_defaults


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`; priority 1 is shown by `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""

    def wire(self) -> dict[str, Any]:
        """Return the column as the API server takes it."""
        described = {"description": self.description} if self.description else {}
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.json_path,
            "priority": self.priority,
            **described,
        }


@dataclass(frozen=True)
class Resource:
    """What a CustomResourceDefinition needs beyond the schema."""

    model: type[Contract]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Kind of the objects."""
        return self.model.__name__

    @property
    def name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_JOB_COLUMNS = (
    Column("Phase", ".status.phase"),
    Column("Progress", ".status.progress.percent", "integer", description="Percent of the running attempt."),
    Column("Engine", ".status.engineName"),
    Column("Attempt", ".status.attempt", "integer", description="How many pods have been tried."),
    Column("Reason", '.status.conditions[?(@.type=="Succeeded")].reason'),
    _AGE,
    Column("Node", ".status.nodeName", priority=1),
    Column("Queue", ".spec.queueName", priority=1),
)

RESTORE_JOB = Resource(
    model=RestoreJob,
    plural="restorejobs",
    short_names=("rjob",),
    columns=_JOB_COLUMNS,
    selectable=(".status.phase", ".spec.engineName"),
)
ANIMATION_JOB = Resource(
    model=AnimationJob,
    plural="animationjobs",
    short_names=("ajob",),
    columns=_JOB_COLUMNS,
    selectable=(".status.phase", ".spec.engineName"),
)
ENGINE = Resource(
    model=Engine,
    plural="engines",
    short_names=(),
    columns=(
        Column("Operations", ".spec.operations"),
        Column("Default", ".spec.default", "boolean"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
        Column("Running", ".status.running", "integer"),
        Column("Limit", ".spec.maxRunning", "integer", description="At most so many jobs run at once."),
        Column("Waiting", ".status.waiting", "integer"),
        _AGE,
        Column(
            "ms/MP",
            '.status.speeds[?(@.operation=="Restore")].millisecondsPerMegapixel',
            "integer",
            priority=1,
            description="Measured milliseconds per megapixel of a restoration.",
        ),
        Column("Image", ".spec.image", priority=1),
    ),
)
RESOURCES = (RESTORE_JOB, ANIMATION_JOB, ENGINE)


def manifest(resource: Resource) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one resource as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "categories": ["rekindle"],
                **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _object_schema(resource)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.wire() for column in resource.columns],
                    **(
                        {"selectableFields": [{"jsonPath": path} for path in resource.selectable]}
                        if resource.selectable
                        else {}
                    ),
                }
            ],
        },
    }


def manifests() -> list[dict[str, Any]]:
    """Return every CustomResourceDefinition of Rekindle."""
    return [manifest(resource) for resource in RESOURCES]


def _object_schema(resource: Resource) -> dict[str, Any]:
    """The schema of a whole object: metadata is the API server's own, and a new object counts as not yet observed."""
    spec = structural_schema(resource.model.model_fields["spec"].annotation)  # type: ignore[arg-type]  # a model
    status = without_defaults(
        structural_schema(resource.model.model_fields["status"].annotation)  # type: ignore[arg-type]  # a model
    )
    fields = resource.model.model_fields
    kind = resource.kind
    return {
        "type": "object",
        "description": " ".join((resource.model.__doc__ or "").split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this schema: rekindle.dev/v1alpha1."},
            "kind": {"type": "string", "description": f"Always {kind}."},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 253}},
            },
            "spec": {**spec, "description": fields["spec"].description},
            # kstatus calls an object without observedGeneration Current: -1 says that nobody has looked at it yet.
            "status": {
                **status,
                "description": fields["status"].description,
                "default": {"observedGeneration": -1},
            },
        },
    }
