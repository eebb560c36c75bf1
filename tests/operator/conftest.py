"""A running operator, engines that follow a script, and a thin door to the API server."""

import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.operator.faulty_proxy import FaultyProxy

Json = dict[str, Any]

SCRIPT = str(Path(__file__).with_name("scripted_engine.py"))
IMAGE = "rekindle-worker:dev"
SHORT_LEASE = {"lease_duration_seconds": "5", "renew_deadline_seconds": "3", "retry_period_seconds": "0.5"}
PATHS = {
    "leases": "/apis/coordination.k8s.io/v1",
    "restorejobs": "/apis/rekindle.dev/v1alpha1",
    "animationjobs": "/apis/rekindle.dev/v1alpha1",
    "engines": "/apis/rekindle.dev/v1alpha1",
    "jobs": "/apis/batch/v1",
    "events": "/apis/events.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


def _json(response: httpx.Response) -> Json:
    """The answer of the API server, or its refusal as an error that says why."""
    if response.is_error:
        raise AssertionError(f"{response.status_code}: {response.text}")
    body: Json = response.json()
    return body


class Api:
    """The API server, for one namespace."""

    def __init__(self, plane: Any, namespace: str) -> None:
        self.namespace = namespace
        self.films: set[str] = set()
        """Names of AnimationJobs; every other name is that of a RestoreJob."""
        self.client = httpx.Client(
            base_url=plane.server,
            verify=ssl.create_default_context(cafile=plane.ca_file),
            headers={"Authorization": f"Bearer {plane.token}"},
            timeout=60,
        )

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        parts = (PATHS.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, subresource)
        return "/".join(part for part in parts if part)

    def get(self, plural: str, name: str) -> Json:
        return _json(self.client.get(self.path(plural, name)))

    def items(self, plural: str) -> list[Json]:
        items: list[Json] = _json(self.client.get(self.path(plural)))["items"]
        return items

    def create(self, plural: str, body: Json) -> Json:
        return _json(self.client.post(self.path(plural), json=body))

    def patch(self, plural: str, name: str, body: Json, subresource: str = "") -> Json:
        headers = {"Content-Type": "application/merge-patch+json"}
        path = self.path(plural, name, subresource)
        return _json(self.client.patch(path, json=body, headers=headers))

    def delete(self, plural: str, name: str, **options: Any) -> None:
        path = self.path(plural, name)
        self.client.request("DELETE", path, json={"propagationPolicy": "Background", **options}).raise_for_status()

    def engine(self, *words: str, name: str = "scripted", **spec: Any) -> Json:
        """Make the default Engine; its pods follow the words of a script."""
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "Engine",
            "metadata": {"name": name},
            "spec": {
                "operations": ["Restore"],
                "image": IMAGE,
                "command": [sys.executable, SCRIPT, *words],
                "default": True,
                **spec,
            },
        }
        return self.create("engines", body)

    def restore(self, name: str = "photo", labels: Json | None = None, **spec: Any) -> Json:
        """Make a RestoreJob."""
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "RestoreJob",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {
                "source": {"bucket": "photos", "key": "original.jpg"},
                "output": {"bucket": "photos", "prefix": f"results/{name}"},
                **spec,
            },
        }
        return self.create("restorejobs", body)

    def animate(self, name: str = "film", restore: str | None = None, **spec: Any) -> Json:
        """Make an AnimationJob, of a photo or of the result of a RestoreJob."""
        photo = {"bucket": "photos", "key": "original.jpg"}
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "AnimationJob",
            "metadata": {"name": name},
            "spec": {
                "source": photo if restore is None else {"restoreJobName": restore},
                "output": {"bucket": "photos", "prefix": f"results/{name}"},
                **spec,
            },
        }
        self.films.add(name)
        return self.create("animationjobs", body)

    def status(self, name: str = "photo") -> Json:
        """Return the status of a job."""
        status: Json = self.get("animationjobs" if name in self.films else "restorejobs", name)["status"]
        return status

    def until(self, holds: Callable[[Json], bool], name: str = "photo", seconds: float = 30) -> Json:
        """Wait until the status of a job is as wanted, and return it."""
        deadline = time.monotonic() + seconds
        while not holds(status := self.status(name)):
            if time.monotonic() > deadline:
                pytest.fail(f"the status of {name} is still {json.dumps(status, indent=1)}")
            time.sleep(0.05)
        return status

    def until_gone(self, plural: str, name: str, seconds: float = 30) -> None:
        """Wait until an object exists no more."""
        deadline = time.monotonic() + seconds
        while (answer := self.client.get(self.path(plural, name))).status_code != 404:
            if time.monotonic() > deadline:
                pytest.fail(f"{plural} {name} is still there: {answer.text}")
            time.sleep(0.05)

    def clear(self) -> None:
        """Delete all jobs and Engines, and wait until nothing of them is left."""
        for plural in ("restorejobs", "animationjobs", "engines", "jobs"):
            self.client.request("DELETE", self.path(plural), json={"propagationPolicy": "Background"})
        deadline = time.monotonic() + 60
        while any(self.items(plural) for plural in ("restorejobs", "animationjobs", "engines", "jobs", "pods")):
            if time.monotonic() > deadline:
                pytest.fail("jobs are still there a minute after they were deleted")
            time.sleep(0.05)

    def until_engine(self, holds: Callable[[Json], bool], name: str = "scripted", seconds: float = 30) -> Json:
        """Wait until the status of an Engine is as wanted, and return it."""
        deadline = time.monotonic() + seconds
        while not holds(status := self.get("engines", name)["status"]):
            if time.monotonic() > deadline:
                pytest.fail(f"the status of Engine {name} is still {json.dumps(status, indent=1)}")
            time.sleep(0.05)
        found: Json = status
        return found

    def until_finished(self, name: str = "photo", seconds: float = 30) -> Json:
        return self.until(lambda status: condition(status, "Finished") == "True", name, seconds)

    def until_waiting(self, reason: str, name: str = "photo", seconds: float = 30) -> Json:
        return self.until(lambda status: status.get("waiting", {}).get("reason") == reason, name, seconds)

    def until_running(self, name: str = "photo", seconds: float = 30) -> Json:
        return self.until(lambda status: status.get("phase") == "Running", name, seconds)

    def notices(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return type and reason of the Events that the operator posted, for one job or for all, oldest first."""
        ours = [event for event in self.items("events") if event["reportingController"] == "rekindle.dev/operator"]
        ours = [event for event in ours if name in {None, event["regarding"]["name"]}]
        ours.sort(key=lambda event: event["eventTime"])
        return [(event["type"], event["reason"]) for event in ours]

    def until_noticed(self, kind: str, reason: str, seconds: float = 30) -> list[tuple[str, str]]:
        """Wait until an Event was posted, and return all: they follow the status a little later."""
        deadline = time.monotonic() + seconds
        while (kind, reason) not in (noticed := self.notices()):
            if time.monotonic() > deadline:
                pytest.fail(f"there is no {kind} Event {reason} among {noticed}")
            time.sleep(0.05)
        return noticed


def condition(status: Json, kind: str) -> str:
    found = {item["type"]: item["status"] for item in status.get("conditions", [])}
    return str(found.get(kind, ""))


class Operator:
    """An operator as a process of its own."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path) -> None:
        self.kubeconfig, self.namespace, self.log = kubeconfig, namespace, log
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, role: str = "leader", **settings: str) -> None:
        """Start it and wait until it is ready, and leads or stands by as told."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "REKINDLE_OPERATOR_HOST": "127.0.0.1",
            "REKINDLE_OPERATOR_PORT": "0",
            "REKINDLE_OPERATOR_NAMESPACES": self.namespace,
            "REKINDLE_OPERATOR_ENDED_PERIOD_SECONDS": "1",
            "REKINDLE_OPERATOR_IDENTITY": self.log.stem,
            **{f"REKINDLE_OPERATOR_{name.upper()}": value for name, value in settings.items()},
        }
        command = [sys.executable, "-m", "rekindle_operator", "run"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)
        deadline = time.monotonic() + 120
        while self.role() != role:
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"the operator is no {role}:\n{self.log.read_text()}")
            time.sleep(0.05)

    def lines(self) -> list[Json]:
        written = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in written if line.startswith("{") and line.endswith("\n")]

    def said(self, message: str) -> bool:
        """Return whether a line of its log says so."""
        return any(line["message"] == message for line in self.lines())

    def role(self) -> str:
        """Return leader or standby, or nothing while it is not ready."""
        port = next((line["port"] for line in self.lines() if line["message"] == "operator started"), None)
        if port is None:
            return ""
        self.url = f"http://127.0.0.1:{port}"
        with suppress(httpx.HTTPError):
            answer = httpx.get(f"{self.url}/readyz", timeout=2)
            return answer.text.strip() if answer.status_code == 200 else ""
        return ""

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def metrics(self) -> str:
        """Return all metrics, in Prometheus' text format."""
        return httpx.get(f"{self.url}/metrics", timeout=60).text

    def metric(self, name: str) -> float:
        """Return a metric without labels."""
        lines = self.metrics().splitlines()
        return next(float(line.split(" ")[1]) for line in lines if line.startswith(f"{name} "))

    def writes(self) -> float:
        """Return how many requests that change something it has made since its start."""
        samples = [line for line in self.metrics().splitlines() if line.startswith("rekindle_api_requests_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples if not ('"GET"' in line or '"WATCH"' in line))


@pytest.fixture
def api(control_plane: Any, namespace: str) -> Iterator[Api]:
    """The API server as an admin sees it."""
    api = Api(control_plane, namespace)
    yield api
    api.client.close()


@pytest.fixture(scope="module")
def shared_namespace(control_plane: Any) -> Iterator[str]:
    """A namespace for all tests of a module, one after another."""
    name = f"test-{secrets.token_hex(6)}"
    control_plane.create_namespace(name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def shared_operator(
    control_plane: Any, shared_namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """A running operator for all tests of a module; see `shared_api`."""
    log = tmp_path_factory.mktemp("shared-operator") / "operator.log"
    operator = Operator(control_plane.kubeconfig, shared_namespace, log)
    try:
        operator.start()
        yield operator
    finally:
        operator.kill()


@pytest.fixture
def shared_api(control_plane: Any, shared_operator: Operator) -> Iterator[Api]:
    """The API server as an admin sees it, in the namespace of the shared operator, which is empty at first."""
    api = Api(control_plane, shared_operator.namespace)
    with api.client:
        yield api
        api.clear()


@pytest.fixture
def stopped_operator(control_plane: Any, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator of the test's namespace that the test starts itself."""
    operator = Operator(control_plane.kubeconfig, namespace, tmp_path / "operator.log")
    yield operator
    operator.kill()


@pytest.fixture
def operators(control_plane: Any, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Makes operators of the test's namespace, each with its own name, with a Lease that is soon lost."""
    made: list[Operator] = []

    def start(name: str, role: str = "leader", kubeconfig: Path | None = None, **settings: str) -> Operator:
        operator = Operator(kubeconfig or control_plane.kubeconfig, namespace, tmp_path / f"{name}.log")
        made.append(operator)
        operator.start(role, **{**SHORT_LEASE, **settings})
        return operator

    yield start
    for operator in made:
        operator.kill()


@pytest.fixture
def proxy(control_plane: Any, tmp_path: Path) -> Iterator[FaultyProxy]:
    """A way to the API server that fails as the test asks."""
    proxy = FaultyProxy(control_plane, tmp_path / "proxy")
    yield proxy
    proxy.close()


@pytest.fixture
def operator(stopped_operator: Operator) -> Operator:
    """A running operator of the test's namespace."""
    stopped_operator.start()
    return stopped_operator
