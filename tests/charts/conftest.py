"""A running operator for the files that name what it exposes, and surroundings for a release of the chart."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.charts.running import Surroundings

Json = dict[str, Any]


def _resource(kind: str, namespace: str, name: str, **spec: Any) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "rekindle.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _jobs(namespace: str) -> list[Json]:
    """An Engine that fails every job at once, a job for it, and one for an Engine that does not exist."""
    fail = [sys.executable, "-c", "raise SystemExit(11)"]
    where = {"source": {"bucket": "photos", "key": "a.jpg"}, "output": {"bucket": "photos", "prefix": "results"}}
    engine = {"operations": ["Restore"], "image": "rekindle-worker:dev", "command": fail, "maxRunning": 2}
    return [
        _resource("Engine", namespace, "failing", **engine),
        _resource("RestoreJob", namespace, "fails", engineName="failing", **where),
        _resource("RestoreJob", namespace, "waits", engineName="missing", **where),
    ]


def _families(log: Path) -> dict[str, Metric] | None:
    """What the operator exposes, once a job has failed and another one waits."""
    lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
    port = next((line["port"] for line in lines if line["message"] == "operator started"), None)
    if port is None:
        return None
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
    found = {family.name: family for family in text_string_to_metric_families(page)}
    told = {sample.name: sample for family in found.values() for sample in family.samples}
    return (
        found
        if {"rekindle_jobs_finished_total", "rekindle_jobs_waiting", "rekindle_attempts_total"} <= set(told)
        else None
    )


@pytest.fixture
def exposed(control_plane: Any, namespace: str, tmp_path: Path, eventually: Any) -> Iterator[dict[str, Metric]]:
    """The families of metrics of a real operator, by name."""
    log = tmp_path / "operator.log"
    environment = {
        **os.environ,
        "KUBECONFIG": str(control_plane.kubeconfig),
        "REKINDLE_OPERATOR_HOST": "127.0.0.1",
        "REKINDLE_OPERATOR_PORT": "0",
        "REKINDLE_OPERATOR_NAMESPACES": namespace,
    }
    control_plane.apply(_jobs(namespace))
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "rekindle_operator", "run"], env=environment, stderr=stream)
    try:
        yield eventually(lambda: _families(log))
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def around(
    control_plane: Any, namespace: str, database_url: str, bucket: str, object_store: Any, issuer: Any
) -> Iterator[Surroundings]:
    yield Surroundings(control_plane, namespace, database_url, bucket, object_store, issuer)
    objects = object_store.client()
    for each in objects.list_objects_v2(Bucket=bucket).get("Contents", []):
        objects.delete_object(Bucket=bucket, Key=each["Key"])
    objects.close()
