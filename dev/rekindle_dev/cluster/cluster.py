"""Starts a control plane and a real node, waits until pods can run, loads images, and takes everything away again."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rekindle_dev.cluster import layout as files
from rekindle_dev.cluster import leftovers, machine, requirements
from rekindle_dev.cluster.archive import write_image
from rekindle_dev.cluster.builds import Binaries
from rekindle_dev.cluster.layout import Layout
from rekindle_dev.cluster.turn import Turn
from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.controlplane.access import User
from rekindle_dev.controlplane.build import BuildProgress
from rekindle_dev.controlplane.components import SERVICE_RANGE
from rekindle_dev.controlplane.programs import describe, find_programs
from rekindle_dev.processes import Child, PartError, Program

READY_SECONDS = 120.0
_LOAD_SECONDS = 300.0
_CONTROL_PLANE = "control-plane"
_USERS = (
    User(files.NODE_USER, (files.NODE_GROUP,)),
    User(files.PROXY_USER),
    User(files.DNS_USER),
    User(files.POLICY_USER),
)


class Cluster:
    """A running Kubernetes of one real node: a context manager that takes it away again.

    Attributes:
        directory: where state and logs are.
        control_plane: its API server, with an audit log.
    """

    control_plane: ControlPlane

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._layout = Layout(self.directory)
        self._children: list[Child] = []
        self._turn: Turn | None = None

    @classmethod
    def start(cls, directory: Path, *, say: Callable[[str], None] = lambda text: print(text, file=sys.stderr)) -> Self:
        """Start one with its state and logs in `directory`, which is made if it is missing.

        What an earlier one left there, or anywhere on this machine, is taken away first. There is one at a time on a
        machine.

        Args:
            directory: for this cluster alone.
            say: told in words what takes long.

        Raises:
            PartError: if the machine lacks something, another cluster runs on it, or a part does not get ready.
            BuildError, ToolchainError: if a program must be built and cannot be.
        """
        requirements.check()
        cluster = cls(directory)
        try:
            cluster._start(say)
        except BaseException:
            cluster.close()
            raise
        return cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every program and pod, and undo what was changed on the machine. Logs stay."""
        for child in reversed(self._children):
            child.kill()
        if hasattr(self, "control_plane"):
            self.control_plane.close()
        if self._turn:
            _clear(self._layout)
            self._turn.end()
            self._turn = None

    def check(self) -> None:
        """Do nothing while every program runs.

        Raises:
            PartError: if one ended by itself; with the last lines of its log.
        """
        self.control_plane.check()
        for child in self._children:
            child.check()

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive (of OCI or Docker), under the names that stand in it.

        Raises:
            PartError: if it cannot be read.
        """
        self._ctr("images", "import", "--no-unpack", str(archive))

    def tag(self, image: str, other: str) -> None:
        """Give an image of the node another name besides its own.

        Raises:
            PartError: if there is no such image.
        """
        self._ctr("images", "tag", "--force", image, other)

    def images(self) -> dict[str, int]:
        """Return the names of the images on the node, and how many bytes each is."""
        listed = [line.split() for line in self._ctr("images", "list").splitlines()[1:]]
        return {words[0]: _bytes(words[3], words[4]) for words in listed if not words[0].startswith("sha256:")}

    def _start(self, say: Callable[[str], None]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        binaries = Binaries.find(lambda name: _Spoken(name, say))
        programs = find_programs(_Spoken("control plane", say), say=say)
        self._turn = Turn.take(self.directory, clear=lambda folder: _clear(Layout(folder)))
        _clear(self._layout)
        shutil.rmtree(self.directory / _CONTROL_PLANE, ignore_errors=True)
        machine.prepare(self._layout)
        self.control_plane = ControlPlane.start(
            self.directory / _CONTROL_PLANE,
            programs=programs,
            audited=True,
            address=files.NODE_ADDRESS,
            users=_USERS,
        )
        kubelet, proxy, dns, policies = (self.control_plane.write_kubeconfig(user.name) for user in _USERS)
        files.write(self._layout, self.control_plane.ca_file, proxy, dns)
        self.control_plane.apply(files.rights())
        self._start_containerd(binaries)
        self._start_node(binaries, kubelet)
        self._start_policies(binaries, policies)

    def _start_containerd(self, binaries: Binaries) -> None:
        config = str(self.directory / "containerd.toml")
        containerd = self._run("containerd", "containerd", "--config", config)
        containerd.wait_until(lambda: bool(self._ctr("version")), seconds=READY_SECONDS)
        self.load(write_image(self.directory / "pause.tar", files.PAUSE_IMAGE, binaries.pause))

    def _start_node(self, binaries: Binaries, kubeconfig: Path) -> None:
        node, at = str(binaries.node), self.directory
        kubelet = self._run(
            "kubelet", node, "kubelet", f"--kubeconfig={kubeconfig}", f"--config={at / 'kubelet.json'}",
            f"--root-dir={self._layout.kubelet}", f"--cert-dir={self._layout.kubelet / 'pki'}",
            f"--hostname-override={files.NODE_NAME}", f"--node-ip={files.NODE_ADDRESS}",
        )  # fmt: skip
        proxy = self._run("kube-proxy", node, "kube-proxy", f"--config={at / 'kube-proxy.json'}")
        dns = self._run("coredns", str(binaries.coredns), "-conf", str(at / "Corefile"))
        dns.wait_until(lambda: _answers(files.DNS_READY_PORT, "/ready"), seconds=READY_SECONDS)
        proxy.wait_until(lambda: _answers(files.PROXY_HEALTH_PORT, "/healthz"), seconds=READY_SECONDS)
        kubelet.wait_until(self._takes_pods, seconds=READY_SECONDS)

    def _start_policies(self, binaries: Binaries, kubeconfig: Path) -> None:
        """Have NetworkPolicies enforced; it needs a node that is registered."""
        router = self._run(
            "kube-router", str(binaries.router), f"--kubeconfig={kubeconfig}",
            f"--hostname-override={files.NODE_NAME}", f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false",
            "--health-port=0",
        )  # fmt: skip
        router.wait_until(machine.enforces_policies, seconds=READY_SECONDS)

    def _takes_pods(self) -> bool:
        node = json.loads(self.control_plane.get(f"/api/v1/nodes/{files.NODE_NAME}"))
        conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def _run(self, name: str, *command: str) -> Child:
        program = Program(name, command, grace_seconds=3)
        child = Child.start(program, self.directory / f"{name}.log", directory=self.directory)
        self._children.append(child)
        return child

    def _ctr(self, *arguments: str) -> str:
        done = subprocess.run(
            ["ctr", "--address", str(self._layout.socket), "--namespace", "k8s.io", *arguments],
            capture_output=True,
            text=True,
            timeout=_LOAD_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise PartError(f"ctr {' '.join(arguments)} failed:\n{done.stderr.strip()}")
        return done.stdout


def _clear(layout: Layout) -> None:
    leftovers.clear(layout)
    machine.restore(layout)


def _answers(port: int, path: str) -> bool:
    with urllib.request.urlopen(f"http://{files.NODE_ADDRESS}:{port}{path}", timeout=2) as answer:
        return bool(answer.status == 200)


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit])


class _Spoken:
    """Tells how far the build of one program is: a sentence when it begins, then one every ten seconds."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._next = 0.0

    def __call__(self, progress: BuildProgress) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 10
            self._say(f"building {self._name}: {describe(progress)}")
