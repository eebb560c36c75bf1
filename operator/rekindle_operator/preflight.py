"""What the operator needs of the cluster before it starts: permissions, and the fields of its resources."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rekindle_crds import GROUP, VERSION
from rekindle_crds.crd import manifests
from rekindle_operator.cluster import ApiError, Cluster, Json
from rekindle_operator.resources import LEASES, NEEDED, Resource

_SCHEMAS = f"apis/{GROUP}/{VERSION}"


async def missing(cluster: Cluster, namespaces: Iterable[str], lease_namespace: str) -> list[str]:
    """Return a sentence for everything that is missing; nothing when the operator can start.

    Raises:
        ApiError: The API server does not answer.
    """
    needs = [(resource, namespace) for namespace in namespaces for resource in NEEDED]
    needs.append((LEASES, lease_namespace))
    permissions, fields = await asyncio.gather(_missing_permissions(cluster, needs), _missing_fields(cluster))
    return [*permissions, *fields]


def _needed(resource: Resource) -> Iterator[tuple[str, str]]:
    for verb in resource.verbs:
        yield verb, ""
    for subresource, verb in resource.subresource_verbs:
        yield verb, subresource


async def _missing_permissions(cluster: Cluster, needs: Iterable[tuple[Resource, str]]) -> list[str]:
    questions = [
        (resource, verb, subresource, namespace)
        for resource, namespace in needs
        for verb, subresource in _needed(resource)
    ]
    answers = await asyncio.gather(*(_allowed(cluster, *question) for question in questions))
    return [
        f"permission to {verb} {_named(resource, subresource)} in namespace {namespace}"
        for (resource, verb, subresource, namespace), allowed in zip(questions, answers, strict=True)
        if not allowed
    ]


def _named(resource: Resource, subresource: str) -> str:
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return f"{plural}.{resource.group}" if resource.group else plural


async def _allowed(cluster: Cluster, resource: Resource, verb: str, subresource: str, namespace: str) -> bool:
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": resource.group,
        "resource": resource.plural,
        "subresource": subresource,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await cluster.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(answer["status"].get("allowed"))


async def _missing_fields(cluster: Cluster) -> list[str]:
    installed = await _installed_schemas(cluster)
    found: list[str] = []
    for manifest in manifests():
        kind = manifest["spec"]["names"]["kind"]
        if kind not in installed:
            found.append(f"CustomResourceDefinition {manifest['metadata']['name']}")
            continue
        wanted = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        paths = [path for part in ("spec", "status") for path in lacking(wanted, installed[kind], part)]
        found += [f"field {path} of the CustomResourceDefinition {manifest['metadata']['name']}" for path in paths]
    return found


async def _installed_schemas(cluster: Cluster) -> dict[str, Json]:
    index = await cluster.get("/openapi/v3")
    entry = index.get("paths", {}).get(_SCHEMAS)
    if entry is None:
        return {}
    path, _, query = str(entry["serverRelativeURL"]).partition("?")
    try:
        document = await cluster.get(path, dict(part.split("=", 1) for part in query.split("&") if "=" in part))
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    schemas: Mapping[str, Json] = document.get("components", {}).get("schemas", {})
    return {
        name["kind"]: schema
        for schema in schemas.values()
        for name in schema.get("x-kubernetes-group-version-kind", [])
        if name["group"] == GROUP
    }


def lacking(wanted: Mapping[str, Any], installed: Mapping[str, Any], name: str, parent: str = "") -> Iterator[str]:
    """Yield the paths of properties that are wanted and not installed."""
    path = f"{parent}.{name}" if parent else name
    inner = installed.get("properties", {}).get(name)
    if inner is None:
        yield path
        return
    outer = wanted["properties"][name]
    while outer.get("type") == "array":
        outer, inner, path = outer["items"], inner.get("items", {}), f"{path}[]"
    for child in outer.get("properties", {}):
        yield from lacking(outer, inner, child, path)
