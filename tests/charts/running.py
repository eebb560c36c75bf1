"""The programs of a rendered release as processes: each with the variables of its container and its account's token."""

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.charts.rendered import Json, Release, render

from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.issuer import TokenIssuer
from rekindle_dev.processes import Child, Program
from rekindle_dev.s3 import ObjectStore
from rekindle_dev.service import READY_SECONDS, Service

SECRET = "rekindle-secrets"
COMMANDS = {"rekindle-api": "rekindle_api.cli", "rekindle-operator": "rekindle_operator"}


@dataclass(frozen=True)
class Surroundings:
    """What a release needs to be told of its environment."""

    plane: ControlPlane
    namespace: str
    database_url: str
    bucket: str
    store: ObjectStore
    issuer: TokenIssuer

    def values(self) -> Json:
        """Values of an environment in which nothing is production."""
        return {
            "environment": "development",
            "image": {"tag": "dev"},
            "existingSecret": SECRET,
            "s3": {
                "bucket": self.bucket,
                "region": self.store.region,
                "endpointUrl": self.store.endpoint_url,
                "credentialsFromSecret": True,
            },
            "supabase": {"url": self.issuer.url},
            "plans": {"free": {"credits": 5000}},
        }

    def secret(self) -> dict[str, str]:
        """What the Secret of such an environment holds."""
        return {
            "DATABASE_URL": self.database_url,
            "TICKET_SECRET": secrets.token_hex(32),
            "SUPABASE_SERVICE_KEY": self.issuer.secret_key,
            "SUPABASE_WEBHOOK_SECRETS": self.issuer.webhook_secret,
            "AWS_ACCESS_KEY_ID": self.store.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_access_key,
        }

    def make_secret(self, of: Mapping[str, str]) -> None:
        """Make the Secret in the namespace."""
        metadata = {"name": SECRET, "namespace": self.namespace}
        self.plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(of)}])

    def render(self, **values: Any) -> Release:
        """Render the chart for this environment."""
        return render("", self.values() | values, namespace=self.namespace)


class Programs:
    """Starts the programs of a release, and stops those that run at the end."""

    def __init__(self, around: Surroundings, release: Release, secret: Mapping[str, str], directory: Path) -> None:
        self._around = around
        self._release = release
        self._secret = secret
        self._directory = directory
        self._running: list[Service | Child] = []

    def close(self) -> None:
        """Stop everything."""
        for each in reversed(self._running):
            each.close() if isinstance(each, Service) else each.kill()

    def serve(self, component: str, port_variable: str = "", **own: str) -> Service:
        """Start what answers to HTTP, and wait until it is ready."""
        container = self._release.pod(component).spec["containers"][0]

        def program(port: int) -> Program:
            arguments = container["args"]
            if not port_variable:
                arguments = [*arguments[:1], "--port", str(port)]
            return self._program(component, container, arguments, {port_variable or "PORT": str(port), **own})

        service = Service.start(program, self._directory / f"{component}.log")
        self._running.append(service)
        return service

    def begin(self, component: str, **own: str) -> Child:
        """Start a program that ends by itself."""
        (container,) = self._release.pod(component).spec["containers"]
        return self._start(component, container, own)

    def migrate(self) -> None:
        """Make the tables, as the init container does."""
        container = next(each for each in self._release.pod("api").containers if "migrate" in each["args"])
        self._start("api", container, {}).wait(seconds=READY_SECONDS)

    def _start(self, component: str, container: Json, own: Mapping[str, str]) -> Child:
        child = Child.start(
            self._program(component, container, container["args"], own), self._directory / f"{component}.log"
        )
        self._running.append(child)
        return child

    def _program(self, component: str, container: Json, arguments: list[str], own: Mapping[str, str]) -> Program:
        module = COMMANDS[next(name for name in COMMANDS if name in container["image"])]
        variables = self._release.environment(container, self._secret)
        return Program(
            f"{component} of the release",
            (sys.executable, "-m", module, *arguments),
            {**variables, "KUBECONFIG": str(self._kubeconfig(component)), **own},
        )

    def _kubeconfig(self, component: str) -> Path:
        """Write the kubeconfig of a component's service account."""
        plane, account = self._around.plane, self._release.pod(component).spec["serviceAccountName"]
        path = self._directory / f"{component}.kubeconfig"
        token = plane.kubectl("create", "token", account, "-n", self._around.namespace, "--duration=2h").strip()
        config = json.loads(plane.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path


def of_kinds(release: Release, *kinds: str) -> Iterator[Json]:
    """Yield the objects of some kinds, in an order in which they can be made."""
    for kind in kinds:
        yield from release.of(kind)
