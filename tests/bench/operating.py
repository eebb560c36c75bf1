"""A control plane with an operator that the benchmarks of the operator load, and the client that loads it."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil

from rekindle_crds.crd import manifests
from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.node import ProcessNode

Json = dict[str, Any]

CONCURRENCY = 16
IMAGE = "idle:dev"
_SCRIPT = "rekindle_dev.idle_engine:play"
NODE = "idle-node"
_OURS = "/apis/rekindle.dev/v1alpha1"
_PATHS = {"restorejobs": _OURS, "engines": _OURS, "jobs": "/apis/batch/v1"}
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@contextmanager
def running_plane() -> Iterator[ControlPlane]:
    """Start a control plane with an audit log and our custom resources, without a node."""
    with tempfile.TemporaryDirectory() as folder, ControlPlane.start(Path(folder), audited=True) as plane:
        plane.apply(manifests())
        yield plane


@contextmanager
def idle_node(plane: ControlPlane, pods: int) -> Iterator[ProcessNode]:
    """Add a node for so many pods of the Engines of `engine`, which only seem to run."""
    folder = plane.directory / NODE
    with ProcessNode.start(plane.kubeconfig, folder, {}, NODE, scripts={IMAGE: _SCRIPT}, pods=pods) as node:
        yield node
    plane.kubectl("delete", "node", NODE)


def path(namespace: str, plural: str, name: str = "") -> str:
    """Return the path of a collection or of one object."""
    return "/".join(part for part in (_PATHS.get(plural, "/api/v1"), "namespaces", namespace, plural, name) if part)


def engine(name: str = "idle", **environment: str) -> Json:
    """Return an Engine of idle pods; the environment says what they seem to do."""
    spec = {
        "operations": ["Restore"],
        "image": IMAGE,
        "default": name == "idle",
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    return {"apiVersion": "rekindle.dev/v1alpha1", "kind": "Engine", "metadata": {"name": name}, "spec": spec}


def restore_job(number: int, **spec: object) -> Json:
    """Return a RestoreJob as the bridge makes it."""
    key = f"users/bench/photos/{number}"
    return {
        "apiVersion": "rekindle.dev/v1alpha1",
        "kind": "RestoreJob",
        "metadata": {"name": f"r-{number:032x}", "labels": {"rekindle.dev/owner": f"owner-{number % 10}"}},
        "spec": {
            "source": {"bucket": "bench", "key": f"{key}/original"},
            "output": {"bucket": "bench", "prefix": f"{key}/attempts/1"},
            **spec,
        },
    }


class Client:
    """Requests to the API server, at most CONCURRENCY at the same time."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def connect(cls, plane: ControlPlane) -> AsyncIterator[Self]:
        """Connect as the administrator."""
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=plane.ca_file), limit=0)
        headers = {"Authorization": f"Bearer {plane.token}", "User-Agent": "bench"}
        async with aiohttp.ClientSession(plane.server, connector=connector, headers=headers) as session:
            yield cls(session)

    async def create(self, namespace: str, plural: str, body: Json) -> None:
        """Create one object."""
        async with self._session.post(path(namespace, plural), json=body) as answer:
            await answer.read()
            answer.raise_for_status()

    async def create_all(self, namespace: str, plural: str, bodies: Iterable[Json]) -> float:
        """Create all objects, and return how many seconds that took."""
        return await self.at_once(self.create(namespace, plural, body) for body in bodies)

    async def at_once(self, requests: Iterable[Coroutine[Any, Any, None]]) -> float:
        """Do requests, CONCURRENCY of them at the same time, and return how many seconds that took."""
        left, began = iter(requests), time.perf_counter()

        async def work() -> None:
            for request in left:
                await request

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(work())
        return time.perf_counter() - began

    async def items(self, namespace: str, plural: str) -> list[Json]:
        """Return all objects of a collection."""
        async with self._session.get(path(namespace, plural)) as answer:
            answer.raise_for_status()
            found: list[Json] = (await answer.json())["items"]
            return found

    async def patch(self, at: str, body: Json) -> None:
        """Change one object by a merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(at, data=json.dumps(body), headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()

    async def created(self, namespace: str, plural: str, count: int, seconds: float = 300) -> float:
        """Wait until so many objects of a kind were created, as a watch tells; return the moment of the last.

        Raises:
            TimeoutError: They were not created in time.
        """
        query = {"watch": "true", "timeoutSeconds": str(int(seconds)), "resourceVersion": "0"}
        headers, seen = {"Accept": _METADATA_ONLY}, 0
        at, no_limit = path(namespace, plural), aiohttp.ClientTimeout(total=None)
        async with asyncio.timeout(seconds):
            async with self._session.get(at, params=query, headers=headers, timeout=no_limit) as stream:
                async for line in stream.content:
                    seen += b'"type":"ADDED"' in line
                    if seen == count:
                        return time.perf_counter()
        raise TimeoutError(f"only {seen} of {count} {plural} were created in time")


@dataclass(frozen=True)
class Load:
    """What a process has used."""

    moment: float
    cpu_seconds: float
    resident: int


class Operator:
    """An operator of one namespace, as a process of its own."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane, self._namespace = plane, namespace
        self.log = plane.directory / f"operator-{namespace}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self, **settings: str) -> float:
        """Start it, and return after how many seconds it was ready."""
        began = time.perf_counter()
        self.launch(**settings)
        while not self.ready():
            if not self.alive() or time.perf_counter() - began > 60:
                self.kill()
                raise RuntimeError(f"the operator is not ready:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)
        return time.perf_counter() - began

    def launch(self, **settings: str) -> None:
        """Start it without waiting."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._plane.kubeconfig),
            "REKINDLE_OPERATOR_HOST": "127.0.0.1",
            "REKINDLE_OPERATOR_PORT": "0",
            "REKINDLE_OPERATOR_NAMESPACES": self._namespace,
            **{f"REKINDLE_OPERATOR_{name.upper()}": value for name, value in settings.items()},
        }
        self._port = 0
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "rekindle_operator", "run"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def alive(self) -> bool:
        """Return whether it has not ended by itself."""
        return self._running().poll() is None

    def ready(self) -> bool:
        """Return whether it says that it is ready and leads."""
        with suppress(OSError):
            return self._get("/readyz") == "leader\n"
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to stop, and wait until it has: the Lease is free then."""
        self._running().terminate()
        self._running().wait(30)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def load(self) -> Load:
        """Return what it has used until now."""
        process = psutil.Process(self.pid)
        times = process.cpu_times()
        return Load(time.perf_counter(), times.user + times.system, process.memory_info().rss)

    def metrics(self) -> dict[str, float]:
        """Return all samples by name and labels, as they stand on the page."""
        page = self._get("/metrics")
        samples = (line.rsplit(" ", 1) for line in page.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def requests(self) -> float:
        """Return how many requests it has made to the API server since its start."""
        return sum(value for name, value in self.metrics().items() if name.startswith("rekindle_api_requests_total"))

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _get(self, where: str) -> str:
        self._port = self._port or self._told_port()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{where}", timeout=5) as answer:
            return str(answer.read().decode())

    def _told_port(self) -> int:
        for line in self.log.read_text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n") and "port" in (told := json.loads(line)):
                return int(told["port"])
        raise OSError("it does not listen yet")
