"""The environment of a container: variables from every source, expanded, with paths in mounts turned to folders.

References:
    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from rekindle_dev.node import sources
from rekindle_dev.node.apiserver import ApiServer, Object

_REFERENCE = re.compile(r"\$(\$|\((?P<name>[^)]*)\))")
_KINDS = {
    "secretKeyRef": "secrets",
    "configMapKeyRef": "configmaps",
    "secretRef": "secrets",
    "configMapRef": "configmaps",
}


async def resolve(api: ApiServer, pod: Object, container: Object) -> dict[str, str]:
    """Return the variables that a container's specification names.

    Raises:
        MissingError: when a Secret, a ConfigMap or a key in one is not there.
    """
    resolved: dict[str, str] = {}
    for group in container.get("envFrom", []):
        for source in group.keys() & _KINDS.keys():
            reference = group[source]
            data = await sources.payload(
                api, pod, _KINDS[source], reference["name"], optional=reference.get("optional", False)
            )
            resolved |= {group.get("prefix", "") + key: _text(value) for key, value in data.items()}
    fetched: dict[tuple[str, str], dict[str, bytes]] = {}
    for variable in container.get("env", []):
        name, source = variable["name"], variable.get("valueFrom")
        if not source:
            resolved[name] = expand(variable.get("value", ""), resolved)
        elif "fieldRef" in source:
            resolved[name] = sources.field(pod, source["fieldRef"]["fieldPath"])
        elif "resourceFieldRef" in source:
            resolved[name] = sources.resource(pod, container["name"], source["resourceFieldRef"])
        else:
            kind, reference = next((_KINDS[form], given) for form, given in source.items() if form in _KINDS)
            at = (kind, reference["name"])
            if at not in fetched:
                fetched[at] = await sources.payload(api, pod, *at, optional=reference.get("optional", False))
            value = sources.key_of(pod, kind, reference, fetched[at])
            if value is not None:
                resolved[name] = _text(value)
    return resolved


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` by its value; `$$` stands for `$`, and an unknown name stays as it is."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match["name"], match[0])

    return _REFERENCE.sub(value, text)


def relocate(text: str, folders: Mapping[str, Path]) -> str:
    """Return a path below one of the mount paths as the path below that mount's folder; any other text as it is."""
    for mount in sorted(folders, key=len, reverse=True):
        if text == mount or text.startswith(mount.rstrip("/") + "/"):
            return str(folders[mount]) + text[len(mount.rstrip("/")) :]
    return text


def of_image(home: Path, hostname: str) -> dict[str, str]:
    """Return what stands for an image's own variables: programs are found, and litter stays in the pod's folder."""
    programs = Path(sys.executable).parent
    return {
        "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(home),
        "TMPDIR": str(home),
        "HOSTNAME": hostname,
    }


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")
