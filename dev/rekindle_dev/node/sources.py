"""Values that pods take from other objects and from themselves: Secrets, ConfigMaps, pod fields, resources."""

import base64
import os
import re
from collections.abc import Mapping

from rekindle_dev.node import quantity
from rekindle_dev.node.apiserver import ApiError, ApiServer, Object
from rekindle_dev.node.states import ADDRESS, all_containers

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_KINDS = {"secrets": "secret", "configmaps": "configmap"}


class MissingError(Exception):
    """An object or a key that a pod needs is not there (yet)."""


async def payload(api: ApiServer, pod: Object, kind: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
    """Return the data of a Secret (`secrets`) or ConfigMap (`configmaps`) in the pod's namespace.

    Raises:
        MissingError: when it does not exist and is not optional.
    """
    try:
        found = await api.request("GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{name}")
    except ApiError as error:
        if error.code != 404:
            raise
        if optional:
            return {}
        raise MissingError(f'{_KINDS[kind]} "{name}" not found') from error
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
    plain = {key: value.encode() for key, value in found.get("data", {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}


def key_of(pod: Object, kind: str, reference: Object, data: Mapping[str, bytes]) -> bytes | None:
    """Return the value of the key that a reference names; None when it is missing and optional.

    Raises:
        MissingError: when it is missing and not optional.
    """
    value = data.get(reference["key"])
    if value is None and not reference.get("optional"):
        article = "Secret" if kind == "secrets" else "ConfigMap"
        where = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise MissingError(f"couldn't find key {reference['key']} in {article} {where}")
    return value


def field(pod: Object, path: str) -> str:
    """Return the value of a field of the pod as the downward API gives it."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        return str(metadata.get(match[1], {}).get(match[2], ""))
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _listed(metadata.get("labels", {})),
        "metadata.annotations": _listed(metadata.get("annotations", {})),
        "spec.nodeName": spec["nodeName"],
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": ADDRESS,
        "status.hostIPs": ADDRESS,
        "status.podIP": ADDRESS,
        "status.podIPs": ADDRESS,
    }
    return str(values[path])


def resource(pod: Object, container: str, reference: Object) -> str:
    """Return a container's request or limit as the downward API gives it; an absent limit is what the node has."""
    name = reference.get("containerName", container)
    spec = next(c for c in all_containers(pod) if c["name"] == name)
    group, _, kind = reference["resource"].partition(".")
    given = spec.get("resources", {}).get(group, {}).get(kind)
    if given is None:
        given = "0" if group == "requests" else capacity().get(kind, "0")
    divisor = reference.get("divisor", "1")
    return str(quantity.whole(given, divisor if quantity.parse(divisor) else "1"))


def capacity(pods: int = 110) -> dict[str, str]:
    """Return what this machine has, and how many pods it takes, in Kubernetes' notation, by resource."""
    disk = os.statvfs("/")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 1024}Ki",
        "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        "pods": str(pods),
    }


def _listed(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
