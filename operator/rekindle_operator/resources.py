"""The resources of the API server that the operator reads and writes, and their paths."""

from dataclasses import dataclass

from rekindle_crds import GROUP, VERSION, Label
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


_OURS = f"{Label.MANAGED_BY}={MANAGED_BY_VALUE}"

JOBS = {
    kind.kind: Resource(GROUP, VERSION, kind.plural, kind.kind, subresource_verbs=(("status", "patch"),))
    for kind in KINDS.values()
}
ENGINES = Resource(GROUP, VERSION, "engines", "Engine", verbs=("list", "watch"))
CHILDREN = Resource("batch", "v1", "jobs", "Job", _OURS, ("get", "list", "watch", "create", "delete"))
PODS = Resource("", "v1", "pods", "Pod", _OURS, ("list", "watch", "delete"), (("log", "get"),))
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", verbs=("get", "create", "update"))
EVENTS = Resource("events.k8s.io", "v1", "events", "Event", verbs=("create",))

WATCHED = (*JOBS.values(), ENGINES, CHILDREN, PODS)
