"""The chart of the custom resources: it holds the definitions of the models, and leaving it costs nobody a job."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rekindle_crds.crd import RESOURCES, manifests
from rekindle_dev import helm
from rekindle_dev.controlplane import ControlPlane
from rekindle_dev.processes import PartError

CHART = Path(__file__).resolve().parents[2] / "charts/rekindle-crds"
NAMES = [resource.name for resource in RESOURCES]
JOB: dict[str, Any] = {
    "apiVersion": "rekindle.dev/v1alpha1",
    "kind": "RestoreJob",
    "metadata": {"name": "grandmother", "namespace": "default"},
    "spec": {"source": {"bucket": "photos", "key": "a.jpg"}, "output": {"bucket": "photos", "prefix": "results"}},
}

NOTED = JOB | {"spec": JOB["spec"] | {"note": "for Ann"}}
_BESIDE = "\n              startDeadlineSeconds:"
"""A field of the spec of a RestoreJob, as the template writes it."""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane that knows nothing of Rekindle yet."""
    with ControlPlane.start(tmp_path / "plane") as running:
        yield running


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The chart of a later version, in which a RestoreJob may have a note."""
    chart = Path(shutil.copytree(CHART, tmp_path / "next"))
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "99.0.0"}))
    template = chart / "templates/restorejobs.yaml"
    text = template.read_text()
    assert text.count(_BESIDE) == 1
    template.write_text(text.replace(_BESIDE, "\n              note: {type: string, maxLength: 80}" + _BESIDE))
    return chart


def _release(plane: ControlPlane, *arguments: str | Path) -> str:
    return helm.run(*arguments, "--namespace=default", kubeconfig=plane.kubeconfig)


def _definitions(plane: ControlPlane) -> dict[str, dict[str, Any]]:
    items = json.loads(plane.kubectl("get", "crd", *NAMES, "--ignore-not-found", "-o", "json"))["items"]
    return {item["metadata"]["name"]: item for item in items}


def _established(plane: ControlPlane) -> None:
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *NAMES)


def _takes(plane: ControlPlane, resource: dict[str, Any]) -> bool:
    """Whether the API server serves a schema by now that takes an object."""
    try:
        plane.apply([resource])
    except PartError:
        return False
    return True


def test_nothing_is_to_be_found_fault_with() -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", CHART)


def test_the_chart_holds_the_definitions_of_the_models() -> None:
    found = {each["metadata"]["name"]: each for each in yaml.safe_load_all(helm.run("template", "crds", CHART))}
    for each in found.values():
        assert each["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        labels = each["metadata"].pop("labels")
        assert labels["app.kubernetes.io/part-of"] == "rekindle"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
    assert found == {each["metadata"]["name"]: each for each in manifests()}


def test_the_chart_has_nothing_to_set() -> None:
    with pytest.raises(helm.HelmError, match="keep"):
        helm.run("template", "crds", CHART, "--set=keep=false")


@pytest.mark.stack
@pytest.mark.slow
def test_a_job_lives_through_install_upgrade_and_uninstall_of_its_definition(
    plane: ControlPlane, next_version: Path, eventually: Any
) -> None:
    notes = _release(plane, "install", "rekindle-crds", CHART)
    assert "Installed the custom resources of Rekindle" in notes
    _established(plane)
    plane.apply([JOB])
    first = _definitions(plane)
    uid = plane.kubectl("get", "restorejob", "grandmother", "-o", "jsonpath={.metadata.uid}")

    with pytest.raises(PartError, match='unknown field "note"'):
        plane.apply([NOTED])
    assert "Updated" in _release(plane, "upgrade", "rekindle-crds", next_version)
    eventually(lambda: _takes(plane, NOTED), seconds=30)
    assert plane.kubectl("get", "restorejob", "grandmother", "-o", "jsonpath={.spec.note}") == "for Ann"
    second = _definitions(plane)
    assert {name: each["metadata"]["uid"] for name, each in first.items()} == {
        name: each["metadata"]["uid"] for name, each in second.items()
    }

    kept = _release(plane, "uninstall", "rekindle-crds", "--wait")
    assert all(name in kept for name in NAMES)
    assert set(_definitions(plane)) == set(NAMES)
    assert plane.kubectl("get", "restorejob", "grandmother", "-o", "jsonpath={.metadata.uid}") == uid

    _release(plane, "install", "rekindle-crds", CHART)
    assert plane.kubectl("get", "restorejob", "grandmother", "-o", "jsonpath={.metadata.uid}") == uid


@pytest.mark.stack
def test_definitions_that_kubectl_made_are_taken_over_on_request(plane: ControlPlane) -> None:
    plane.apply(manifests())
    with pytest.raises(helm.HelmError, match="cannot be imported into the current release"):
        _release(plane, "install", "rekindle-crds", CHART)
    _release(plane, "upgrade", "--install", "rekindle-crds", CHART, "--take-ownership")
    kept = {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in _definitions(plane).values()}
    assert kept == {"keep"}
