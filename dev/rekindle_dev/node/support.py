"""What a pod may ask of this node. A process on the same machine cannot give everything that a container gives.

Isolation is not imitated and not refused: users, capabilities, read-only roots, network and service links have no
effect here. Whatever would make a pod behave otherwise than it asks is refused, in words.
"""

from rekindle_dev.node.apiserver import Object
from rekindle_dev.node.states import all_containers

VOLUME_KINDS = frozenset(
    {"emptyDir", "secret", "configMap", "downwardAPI", "projected", "hostPath", "persistentVolumeClaim"}
)

_POD_FIELDS = (
    "ephemeralContainers",
    "hostIPC",
    "hostPID",
    "readinessGates",
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "shareProcessNamespace",
)
_CONTAINER_FIELDS = (
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "restartPolicyRules",
    "startupProbe",
    "stdin",
    "tty",
    "volumeDevices",
)


def refusal(pod: Object) -> str | None:
    """Return which fields of a pod this node can't honour, in a sentence; None when it can honour all."""
    spec = pod["spec"]
    fields = [f"spec.{field}" for field in _POD_FIELDS if spec.get(field)]
    if spec.get("os", {}).get("name", "linux") != "linux":
        fields.append("spec.os.name")
    for volume in spec.get("volumes", []):
        fields += [f"volume {volume['name']}: {kind}" for kind in volume.keys() - VOLUME_KINDS - {"name"}]
    for container in all_containers(pod):
        at = f"container {container['name']}: "
        fields += [at + field for field in _CONTAINER_FIELDS if container.get(field)]
        fields += [
            f"{at}env {v['name']} from a file"
            for v in container.get("env", [])
            if "fileKeyRef" in v.get("valueFrom", {})
        ]
        fields += [f"{at}subPathExpr" for mount in container.get("volumeMounts", []) if mount.get("subPathExpr")]
        if container.get("restartPolicy"):
            fields.append(f"{at}restartPolicy")
    if not fields:
        return None
    return f"Pod was rejected: a process node has no support for {', '.join(fields)}"
