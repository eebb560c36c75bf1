"""A node with two images to try things on: `shell:test` runs its argument by bash, `python:test` by Python."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_dev.node import ProcessNode

if TYPE_CHECKING:
    from tests.conftest import Eventually

    from rekindle_dev.controlplane import ControlPlane

Object = dict[str, Any]
NODE = "test-node"
IMAGES = {"shell:test": ["bash", "-c"], "python:test": [sys.executable, "-c"]}


class Bench:
    """Makes objects in one namespace, for one node, and looks at what becomes of them."""

    def __init__(self, plane: "ControlPlane", namespace: str, eventually: "Eventually", node: str = NODE) -> None:
        self.plane = plane
        self.namespace = namespace
        self.node = node
        self._eventually = eventually

    def create(self, *objects: Object) -> None:
        stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("create", "-f", "-", stdin=stream)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments, check=check, stdin=stdin)

    def template(self, script: str, *, spec: Object | None = None, **container: Any) -> Object:
        """A pod template whose one container `main` runs a script, by default in the shell."""
        main = {"name": "main", "image": "shell:test", "args": [script], **container}
        return {
            "nodeSelector": {"kubernetes.io/hostname": self.node},
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 20,
            "containers": [main],
            **(spec or {}),
        }

    def start(
        self,
        script: str,
        *,
        name: str = "pod",
        metadata: Object | None = None,
        spec: Object | None = None,
        **container: Any,
    ) -> str:
        """Create a pod and return its name."""
        template = self.template(script, spec=spec, **container)
        self.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})}, "spec": template}
        )
        return name

    def start_job(self, script: str, *, name: str = "job", job: Object | None = None, **template: Any) -> str:
        """Create a Job and return its name."""
        spec = {"backoffLimit": 0, "template": {"spec": self.template(script, **template)}, **(job or {})}
        self.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
        return name

    def get(self, kind: str, name: str) -> Object | None:
        answer = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        found: Object | None = json.loads(answer) if answer else None
        return found

    def pods_of(self, job: str) -> list[Object]:
        found: list[Object] = json.loads(self.kubectl("get", "pods", "-l", f"job-name={job}", "-o", "json"))["items"]
        return found

    def until(self, check: Callable[[Object], object], *, kind: str = "pod", name: str = "pod") -> Object:
        """Wait until an object passes the check, and return it."""

        def look() -> Object | None:
            found = self.get(kind, name)
            return found if found and check(found) else None

        result: Object = self._eventually(look)
        return result

    def until_gone(self, name: str = "pod") -> None:
        self._eventually(lambda: self.get("pod", name) is None)

    def until_ended(self, name: str = "pod") -> Object:
        return self.until(lambda pod: pod["status"]["phase"] in {"Succeeded", "Failed"}, name=name)

    def until_running(self, name: str = "pod") -> Object:
        return self.until(lambda pod: pod["status"]["phase"] == "Running", name=name)

    def until_waiting(self, reason: str, name: str = "pod") -> Object:
        return self.until(lambda pod: state(pod).get("waiting", {}).get("reason") == reason, name=name)

    def output(self, script: str, name: str = "pod", **options: Any) -> str:
        """Run a pod to its end and return what it printed."""
        self.start(script, name=name, **options)
        ended = self.until_ended(name)
        assert ended["status"]["phase"] == "Succeeded", ended["status"]
        return self.kubectl("logs", name)


def state(pod: Object, container: int = 0) -> Object:
    statuses = pod["status"].get("containerStatuses")
    found: Object = statuses[container]["state"] if statuses else {}
    return found


@pytest.fixture(scope="module")
def node(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessNode]:
    """A node that only pods of these tests choose."""
    with ProcessNode.start(control_plane.kubeconfig, tmp_path_factory.mktemp("node"), IMAGES, NODE) as running:
        yield running
    control_plane.kubectl("delete", "node", NODE)


@pytest.fixture
def bench(control_plane: "ControlPlane", node: ProcessNode, namespace: str, eventually: "Eventually") -> Bench:
    """A namespace of one's own on the node."""
    return Bench(control_plane, namespace, eventually, node.name)


@pytest.fixture
def bench_on(control_plane: "ControlPlane", namespace: str, eventually: "Eventually") -> Callable[[str], Bench]:
    """Returns a namespace of one's own for pods on a node that the test starts itself."""
    return lambda name: Bench(control_plane, namespace, eventually, name)


@pytest.fixture
def marked() -> Callable[[str], list[int]]:
    """Returns the processes of this machine with a word in their command line."""

    def find(word: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if word.encode() in line:
                    found.append(int(entry.name))
        return found

    return find
