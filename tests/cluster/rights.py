"""What the service accounts of a release may do, beside what they did: the Roles against the audit log. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rekindle_dev.controlplane.audit import Request

Object = Mapping[str, Any]

# Kubernetes lets everybody ask what they may do.
_FOR_EVERYBODY = frozenset({"authorization.k8s.io", "authentication.k8s.io"})


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one kind of resource."""

    account: str
    """Name of the service account."""
    verb: str
    resource: str
    """With its subresource, and its group unless that is the core's: `jobs.batch`, `pods/log`."""

    def __str__(self) -> str:
        return f"{self.account}: {self.verb} {self.resource}"


@dataclass(frozen=True)
class Comparison:
    """The Roles of one namespace against its audit log."""

    refused: list[Right]
    """Asked for and not granted."""
    unused: list[Right]
    """Granted and not asked for."""
    used: list[Right]


def compare(roles: Iterable[Object], bindings: Iterable[Object], requests: Iterable[Request]) -> Comparison:
    """Compare what Roles grant with what service accounts asked for.

    Args:
        roles: the Roles of a namespace.
        bindings: its RoleBindings.
        requests: what the API server answered in that namespace.
    """
    granted = set(_granted(roles, bindings))
    refused, used = set[Right](), set[Right]()
    for request in requests:
        if (
            request.user.startswith("system:serviceaccount:")
            and request.resource
            and request.group not in _FOR_EVERYBODY
        ):
            right = Right(request.user.rpartition(":")[2], request.verb, _named(request.group, request.resource))
            (refused if request.code == 403 else used).add(right)
    return Comparison(refused=sorted(refused), unused=sorted(granted - used), used=sorted(used))


def _granted(roles: Iterable[Object], bindings: Iterable[Object]) -> Iterable[Right]:
    rules = {role["metadata"]["name"]: role["rules"] for role in roles}
    for binding in bindings:
        for subject in binding.get("subjects", []):
            for rule in rules.get(binding["roleRef"]["name"], []):
                yield from _of_rule(subject["name"], rule)


def _of_rule(account: str, rule: Object) -> Iterable[Right]:
    return (
        Right(account, verb, _named(group, resource))
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def _named(group: str, resource: str) -> str:
    """Name a resource as kubectl does: the group follows the kind, then comes the subresource."""
    kind, slash, part = resource.partition("/")
    return f"{kind}.{group}{slash}{part}" if group else resource
