"""Volumes of a pod as folders: made before its containers start, measured while they run."""

import os
from collections.abc import Mapping
from pathlib import Path

from rekindle_dev.node import quantity, sources
from rekindle_dev.node.apiserver import ApiError, ApiServer, Object

_DEFAULT_MODE = 0o644


async def prepare(api: ApiServer, pod: Object, folder: Path) -> dict[str, Path]:
    """Make the folders of a pod's volumes below the given one and return them by volume name.

    Raises:
        MissingError: when an object that a volume is made from is not there.
    """
    folders = {}
    for volume in pod["spec"].get("volumes", []):
        name = volume["name"]
        kind = next(key for key in volume if key != "name")
        match kind:
            case "hostPath":
                folders[name] = Path(volume[kind]["path"])
            case "persistentVolumeClaim":
                folders[name] = await _claimed(api, pod, volume[kind]["claimName"])
            case _:
                folders[name] = folder / name
                folders[name].mkdir(parents=True, exist_ok=True)
                files = await _files(api, pod, kind, volume[kind])
                _write(folders[name], files, volume[kind].get("defaultMode", _DEFAULT_MODE))
    return folders


def mounts(container: Object, folders: Mapping[str, Path]) -> dict[str, Path]:
    """Return the folder for each of a container's mount paths; those of subpaths are made."""
    mounted = {}
    for mount in container.get("volumeMounts", []):
        at = folders[mount["name"]]
        if sub := mount.get("subPath"):
            at /= sub
            if not at.exists():
                at.mkdir(parents=True)
        mounted[mount["mountPath"]] = at
    return mounted


def overflow(pod: Object, folder: Path) -> str | None:
    """Return the message of the eviction that a pod's use of disk deserves, or None."""
    used = 0
    for volume in pod["spec"].get("volumes", []):
        if (spec := volume.get("emptyDir")) is None:
            continue
        size = _disk_usage(folder / volume["name"])
        used += size if spec.get("medium") != "Memory" else 0
        limit = spec.get("sizeLimit")
        if limit is not None and size > quantity.parse(limit) > 0:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    limits = [c.get("resources", {}).get("limits", {}).get("ephemeral-storage") for c in pod["spec"]["containers"]]
    if all(limits) and used > sum(quantity.parse(limit) for limit in limits):
        total = limits[0] if len(limits) == 1 else sum(quantity.whole(limit) for limit in limits)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    return None


def is_limited(pod: Object) -> bool:
    """Say whether a pod can be evicted for its use of disk."""
    return any(v.get("emptyDir", {}).get("sizeLimit") for v in pod["spec"].get("volumes", [])) or any(
        c.get("resources", {}).get("limits", {}).get("ephemeral-storage") for c in pod["spec"]["containers"]
    )


async def _claimed(api: ApiServer, pod: Object, claim: str) -> Path:
    at = f"/api/v1/namespaces/{pod['metadata']['namespace']}/persistentvolumeclaims/{claim}"
    try:
        name = (await api.request("GET", at))["spec"].get("volumeName")
        volume = (await api.request("GET", f"/api/v1/persistentvolumes/{name}"))["spec"]
    except ApiError as error:
        if error.code == 404:
            raise sources.MissingError(f'persistentvolumeclaim "{claim}" is not there or not bound') from error
        raise
    for kind in ("hostPath", "local"):
        if kind in volume:
            return Path(volume[kind]["path"])
    raise sources.MissingError(f'persistentvolume "{name}" is neither hostPath nor local: a process node has no other')


async def _files(api: ApiServer, pod: Object, kind: str, spec: Object) -> dict[str, bytes]:
    optional = spec.get("optional", False)
    match kind:
        case "secret":
            data = await sources.payload(api, pod, "secrets", spec.get("secretName") or spec["name"], optional=optional)
            return _selected(pod, "secrets", spec, data)
        case "configMap":
            data = await sources.payload(api, pod, "configmaps", spec["name"], optional=optional)
            return _selected(pod, "configmaps", spec, data)
        case "downwardAPI":
            return {item["path"]: _downward(pod, item) for item in spec.get("items", [])}
        case "serviceAccountToken":
            return {spec["path"]: await _token(api, pod, spec)}
        case "projected":
            files: dict[str, bytes] = {}
            for source in spec.get("sources", []):
                for inner, inner_spec in source.items():
                    files |= await _files(api, pod, inner, inner_spec)
            return files
        case "emptyDir":
            return {}
        case _:
            raise sources.MissingError(f"a process node has no volumes made from {kind}")


def _selected(pod: Object, kind: str, spec: Object, data: Mapping[str, bytes]) -> dict[str, bytes]:
    items = spec.get("items")
    if items is None:
        return dict(data)
    name = spec.get("secretName") or spec["name"]
    optional = spec.get("optional", False)
    values = {
        item["path"]: sources.key_of(pod, kind, {"name": name, "key": item["key"], "optional": optional}, data)
        for item in items
    }
    return {path: value for path, value in values.items() if value is not None}


def _downward(pod: Object, item: Object) -> bytes:
    if "fieldRef" in item:
        return sources.field(pod, item["fieldRef"]["fieldPath"]).encode()
    reference = item["resourceFieldRef"]
    return sources.resource(pod, reference["containerName"], reference).encode()


async def _token(api: ApiServer, pod: Object, spec: Object) -> bytes:
    metadata = pod["metadata"]
    account = pod["spec"].get("serviceAccountName", "default")
    answer = await api.request(
        "POST",
        f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token",
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [spec["audience"]] if spec.get("audience") else [],
                "expirationSeconds": spec.get("expirationSeconds", 3600),
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
            },
        },
    )
    return str(answer["status"]["token"]).encode()


def _write(folder: Path, files: Mapping[str, bytes], mode: int) -> None:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(mode)


def _disk_usage(folder: Path) -> int:
    return sum(_block_bytes(Path(at, name)) for at, _, names in os.walk(folder) for name in names)


def _block_bytes(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except OSError:  # removed meanwhile
        return 0
