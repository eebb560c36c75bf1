"""Which addresses a pod can connect to, tried from inside of it."""

import json
from collections.abc import Iterable, Mapping

from tests.cluster.release import Release

_TRY = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        continue
    print(target)
"""
_SLEEP = "import time; time.sleep(3600)"


def stand_in(release: Release, name: str, labels: Mapping[str, str]) -> None:
    """Start a pod with these labels that does nothing, and wait until it runs."""
    container = {
        "name": name,
        "image": release.image("operator"),
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _SLEEP],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
            "runAsNonRoot": True,
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0},
    }
    release.kubectl("apply", "--filename=-", stdin=json.dumps(pod))
    release.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def reached(release: Release, pod: str, targets: Iterable[str]) -> set[str]:
    """Return those of the targets, `host:port`, that the pod can connect to."""
    return set(release.kubectl("exec", pod, "--", "python3", "-c", _TRY, *targets).split())
