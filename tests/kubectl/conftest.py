"""The plugin as a command, a running operator with an engine, and a thin door to the API server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Json = dict[str, Any]
IMAGE = "rekindle-worker:dev"
SECRET = "s3-credentials"


class Api:
    """The API server as an admin sees it, for one namespace."""

    def __init__(self, plane: Any, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return str(self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin))

    def apply(self, *objects: Json) -> None:
        self.plane.apply([{**each, "metadata": {"namespace": self.namespace, **each["metadata"]}} for each in objects])

    def job(self, name: str, kind: str = "restorejob") -> Json:
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json")))

    def names(self, kind: str = "restorejob") -> list[str]:
        return [line.rpartition("/")[2] for line in self.kubectl("get", kind, "-o", "name").split()]

    def restore_job(self, name: str, status: Json | None = None, **spec: Any) -> Json:
        """Make a RestoreJob; with a status, as an operator would have written it."""
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "RestoreJob",
            "metadata": {"name": name, "labels": spec.pop("labels", {})},
            "spec": {
                "source": {"bucket": "photos", "key": f"in/{name}.jpg"},
                "output": {"bucket": "photos", "prefix": f"out/{name}"},
                **spec,
            },
        }
        return self._make(body, status)

    def animation_job(self, name: str, status: Json | None = None, **spec: Any) -> Json:
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "AnimationJob",
            "metadata": {"name": name},
            "spec": {"output": {"bucket": "photos", "prefix": f"out/{name}"}, **spec},
        }
        return self._make(body, status)

    def engine(self, name: str = "scripted", status: Json | None = None, **spec: Any) -> Json:
        body = {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "Engine",
            "metadata": {"name": name},
            "spec": {"operations": ["Restore"], "image": IMAGE, **spec},
        }
        return self._make(body, status)

    def set_status(self, kind: str, name: str, status: Json) -> None:
        patch = json.dumps({"status": status})
        self.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)

    def _make(self, body: Json, status: Json | None) -> Json:
        made = dict(json.loads(self.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(body))))
        if status is not None:
            self.set_status(body["kind"], body["metadata"]["name"], status)
        return made


class Plugin:
    """`kubectl-rekindle` as a process of its own, in one namespace."""

    def __init__(self, plane: Any, namespace: str, environment: dict[str, str], folder: Path) -> None:
        self.command = [str(Path(sys.executable).with_name("kubectl-rekindle"))]
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **environment,
            "KUBECONFIG": str(plane.kubeconfig),
            "PYTHONUNBUFFERED": "1",
        }
        self.scope = ["-n", namespace]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *arguments, *self.scope],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, seconds: float = 120, **environment: str) -> str:
        """Run it, check its exit code, and return what it said on both streams; never a traceback."""
        process = self.start(*arguments, **environment)
        try:
            out, err = process.communicate(timeout=seconds)
        finally:
            process.kill()
        said = out + err
        assert process.returncode == code, said
        assert "Traceback" not in said
        return said


@pytest.fixture
def api(control_plane: Any, namespace: str) -> Api:
    return Api(control_plane, namespace)


@pytest.fixture
def plugin(control_plane: Any, namespace: str, object_store: Any, tmp_path: Path) -> Plugin:
    return Plugin(control_plane, namespace, object_store.environment(), tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo in the folder that the plugin runs in."""
    path = tmp_path / "Grandma 1952.jpg"
    Image.radial_gradient("L").resize((96, 80)).convert("RGB").save(path, quality=90)
    return path


@pytest.fixture
def engine(api: Api, object_store: Any) -> Callable[..., Json]:
    """Makes the default Engine of the namespace: the real worker, or another command in its place."""

    def make(**spec: Any) -> Json:
        source = {
            name: {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}
            for name in object_store.environment()
        }
        return api.engine("classical", env=list(source.values()), default=True, **spec)

    return make


@pytest.fixture
def operator(control_plane: Any, namespace: str, tmp_path: Path, eventually: Any) -> Iterator[None]:
    """An operator that serves the test's namespace."""
    log = tmp_path / "operator.log"
    environment = {
        **os.environ,
        "KUBECONFIG": str(control_plane.kubeconfig),
        "REKINDLE_OPERATOR_HOST": "127.0.0.1",
        "REKINDLE_OPERATOR_PORT": "0",
        "REKINDLE_OPERATOR_NAMESPACES": namespace,
    }
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "rekindle_operator", "run"], env=environment, stderr=stream)
    try:
        eventually(lambda: "operator started" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()
        process.wait(15)
