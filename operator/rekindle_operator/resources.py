"""The resources of the API server that the operator reads and writes, and their paths."""

from dataclasses import dataclass

from rekindle_crds import GROUP, VERSION, Label, Phase
from rekindle_crds.labels import MANAGED_BY_VALUE
from rekindle_operator.core.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource that is watched."""

    group: str
    version: str
    plural: str
    kind: str
    selector: str = ""
    """Label selector of what is watched."""
    verbs: tuple[str, ...] = ("get", "list", "watch")
    """What the operator must be allowed to do."""
    subresource_verbs: tuple[tuple[str, str], ...] = ()
    """The same for its subresources: pairs of name and verb."""
    fields: str = ""
    """Field selector of what is watched; what leaves it arrives as deleted."""

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of the collection, of one object or of its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = (f"{root}/namespaces/{namespace}/{self.plural}", name, subresource)
        return "/".join(part for part in parts if part)


_UNFINISHED = ",".join(f"status.phase!={phase.value}" for phase in Phase if phase.finished)
_OURS = f"{Label.MANAGED_BY}={MANAGED_BY_VALUE}"

JOBS = {
    kind.kind: Resource(
        GROUP,
        VERSION,
        kind.plural,
        kind.kind,
        verbs=("get", "list", "watch", "delete"),
        subresource_verbs=(("status", "patch"),),
        fields=_UNFINISHED,
    )
    for kind in KINDS.values()
}
ENGINES = Resource(
    GROUP, VERSION, "engines", "Engine", verbs=("list", "watch"), subresource_verbs=(("status", "patch"),)
)
CHILDREN = Resource("batch", "v1", "jobs", "Job", _OURS, ("get", "list", "watch", "create", "delete"))
PODS = Resource("", "v1", "pods", "Pod", _OURS, ("list", "watch", "delete"), (("log", "get"), ("status", "patch")))
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", verbs=("get", "create", "update"))
EVENTS = Resource("events.k8s.io", "v1", "events", "Event", verbs=("create",))

TROUBLES = Resource("", "v1", "events", "Event", verbs=("list",))
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", verbs=("get",))
VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", verbs=("get",))

WATCHED = (*JOBS.values(), ENGINES, CHILDREN, PODS)
NEEDED = (*WATCHED, EVENTS, TROUBLES, SERVICE_ACCOUNTS, VOLUME_CLAIMS)
"""All that the operator uses in each namespace that it serves."""
