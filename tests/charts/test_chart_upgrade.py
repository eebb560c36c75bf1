"""From the first version of the chart to today's and back, with a job that runs; then everything is taken away."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.charts.rendered import CHART, OWN, Json, Release, merged, selects
from tests.charts.running import Programs, Surroundings

from rekindle_crds import Label
from rekindle_crds.crd import RESOURCES
from rekindle_dev import helm

if TYPE_CHECKING:
    from tests.conftest import Eventually

    from rekindle_dev.controlplane import ControlPlane

pytestmark = [pytest.mark.stack, pytest.mark.slow]

FIRST = Path(__file__).with_name("rekindle-0.1.0.tgz")
"""The first version of the chart, as `helm package` made it. It is never made anew: whoever installed it has to get to
today's version."""

FIRST_DIGEST = "66fe4544f68bed7e3d198c92755a139b509aab0a7df15bbd680a8b1c9adaed84"

NOWHERE = {"nodeSelector": {"kubernetes.io/hostname": "a-node-that-does-not-exist"}}
"""The programs run beside the cluster here; their pods wait."""

KEPT = {"Deployment", "Service", "ServiceAccount", "CronJob", "Role", "RoleBinding", "Engine"}
"""Kinds of which every object must outlive every upgrade: a name that is changed is a new object."""

SCRIPT = Path(__file__).parents[1] / "operator/scripted_engine.py"


class Installed:
    """A release of the chart in the cluster."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def helm(self, *arguments: str | Path, values: Json | None = None) -> str:
        given = [] if values is None else ["--values=-"]
        stdin = None if values is None else json.dumps(values)
        namespace, kubeconfig = f"--namespace={self._around.namespace}", self._around.plane.kubeconfig
        return helm.run(*arguments, namespace, *given, kubeconfig=kubeconfig, stdin=stdin)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self._around.plane.kubectl("-n", self._around.namespace, *arguments, stdin=stdin)

    def release(self) -> Release:
        """What helm made last."""
        text = self.helm("get", "manifest", "rekindle")
        return Release(tuple(each for each in yaml.safe_load_all(text) if each))

    def uids(self) -> dict[tuple[str, str], str]:
        """The identity of every object of the release."""
        stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": self.release().objects})
        found = json.loads(self.kubectl("get", "-f", "-", "-o", "json", stdin=stream))["items"]
        return {(item["kind"], item["metadata"]["name"]): item["metadata"]["uid"] for item in found}

    def job(self) -> Json:
        """The job, with the uids of its Jobs."""
        job: Json = json.loads(self.kubectl("get", "restorejob", "portrait", "-o", "json"))
        selector = f"{Label.JOB_UID}={job['metadata']['uid']}"
        children = self.kubectl("get", "jobs", "-l", selector, "-o", "jsonpath={.items[*].metadata.uid}")
        return job | {"children": children.split()}

    def phase(self) -> str:
        """How the job stands."""
        return str(self.job().get("status", {}).get("phase"))


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """A package of today's chart, with the number of a later version."""
    helm.run("package", CHART, "--version=99.0.0", "--app-version=99.0.0", f"--destination={tmp_path}")
    return tmp_path / "rekindle-99.0.0.tgz"


def _values(around: Surroundings, go: Path) -> Json:
    """An environment whose engine waits for a file."""
    command = [sys.executable, str(SCRIPT), f"wait={go}", "complete"]
    engine = {"operations": ["Restore"], "default": True, "maxRunning": 4, "command": command}
    placed = dict.fromkeys(("api", "bridge", "sweep", "operator"), NOWHERE)
    return merged(around.values(), placed, {"engines": {"classical": engine}})


def _photo(around: Surroundings) -> Json:
    places = {
        "source": {"bucket": around.bucket, "key": "a.jpg"},
        "output": {"bucket": around.bucket, "prefix": "results"},
    }
    metadata = {"name": "portrait", "namespace": around.namespace}
    return {"apiVersion": "rekindle.dev/v1alpha1", "kind": "RestoreJob", "metadata": metadata, "spec": places}


def _operate(around: Surroundings, installed: Installed, secret: dict[str, str], directory: Path) -> Programs:
    """Start the operator that is installed now."""
    programs = Programs(around, installed.release(), secret, directory)
    programs.serve("operator", "REKINDLE_OPERATOR_PORT", REKINDLE_OPERATOR_HOST="127.0.0.1")
    return programs


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("process_node")
def test_a_job_that_runs_lives_through_upgrade_rollback_and_uninstall(
    around: Surroundings, next_version: Path, eventually: "Eventually", tmp_path: Path
) -> None:
    installed, secret, go = Installed(around), around.secret(), tmp_path / "go"
    around.make_secret(secret)
    values = _values(around, go)
    installed.helm("install", "rekindle", FIRST, values=values)
    programs = _operate(around, installed, secret, tmp_path)
    try:
        around.plane.apply([_photo(around)])
        eventually(lambda: installed.phase() == "Running")
        job, first = installed.job(), installed.uids()
        assert _policies_of_its_pod(installed) == ["rekindle-worker"]

        installed.helm("upgrade", "rekindle", next_version, values=merged(values, {"operator": {"maxRunning": 9}}))
        programs.close()
        programs = _operate(around, installed, secret, tmp_path)
        second = installed.uids()
        assert {key: second[key] for key in first.keys() & second.keys()} == {
            key: first[key] for key in first.keys() & second.keys()
        }
        assert {key for key in first if key[0] in KEPT} <= second.keys()
        labels = installed.release().named("Deployment", "-operator")["metadata"]["labels"]
        assert labels["app.kubernetes.io/version"] == "99.0.0"
        assert installed.job()["children"] == job["children"]
        go.touch()
        eventually(lambda: installed.phase() == "Succeeded")
        status = installed.job()["status"]
        assert [attempt["podUid"] for attempt in status["attempts"]] == [
            attempt["podUid"] for attempt in job["status"]["attempts"]
        ]

        installed.helm("rollback", "rekindle", "1")
        assert installed.uids().items() >= {key: first[key] for key in first.keys() & second.keys()}.items()
        assert installed.uids().keys() == first.keys()
    finally:
        programs.close()

    made = installed.uids()
    installed.helm("uninstall", "rekindle", "--wait")
    assert _left(installed, made) == set()
    assert installed.job()["status"]["result"] == status["result"]
    names = installed.kubectl("get", "crd", *(resource.name for resource in RESOURCES), "-o", "name").split()
    assert len(names) == len(RESOURCES)


def _policies_of_its_pod(installed: Installed) -> list[str]:
    """The network policies that are about the pod that the operator made."""
    (pod,) = json.loads(installed.kubectl("get", "pods", "-l", f"{Label.JOB_NAME}=portrait", "-o", "json"))["items"]
    policies = installed.release().of("NetworkPolicy")
    return [each["metadata"]["name"] for each in policies if selects(each, pod["metadata"]["labels"])]


def _left(installed: Installed, made: dict[tuple[str, str], str]) -> set[str]:
    """The objects of the release that are still there."""
    kinds = ",".join(sorted({kind for kind, _ in made}))
    selector = "app.kubernetes.io/instance=rekindle,app.kubernetes.io/managed-by=Helm"
    return set(installed.kubectl("get", kinds, "-l", selector, "-o", "name").split())


@pytest.mark.timeout(300)
def test_the_secrets_of_a_try_out_live_through_an_upgrade(around: Surroundings, next_version: Path) -> None:
    installed = Installed(around)
    values = dict.fromkeys(("api", "bridge", "sweep", "operator"), NOWHERE)
    tryout = CHART / "values-dev.yaml"
    installed.helm("install", "rekindle", CHART, f"--values={tryout}", values=values)
    first = installed.kubectl("get", "secret", "rekindle-tryout", "-o", "jsonpath={.data}")
    installed.helm("upgrade", "rekindle", next_version, f"--values={tryout}", values=values)
    assert installed.kubectl("get", "secret", "rekindle-tryout", "-o", "jsonpath={.data}") == first
    installed.helm("uninstall", "rekindle", "--wait")


def test_one_environment_goes_and_the_other_does_not_notice(
    around: Surroundings, control_plane: "ControlPlane"
) -> None:
    other = replace(around, namespace=f"{around.namespace}-staging")
    control_plane.create_namespace(other.namespace)
    development, staging = Installed(around), Installed(other)
    waiting = dict.fromkeys(("api", "bridge", "sweep", "operator"), NOWHERE)
    staging.helm("install", "rekindle", CHART, f"--values={CHART / 'values-staging.yaml'}", values=merged(OWN, waiting))
    before = staging.uids()
    development.helm("install", "rekindle", CHART, f"--values={CHART / 'values-dev.yaml'}", values=waiting)
    development.helm("uninstall", "rekindle", "--wait")
    assert staging.uids() == before
    staging.helm("uninstall", "rekindle", "--wait")
    control_plane.kubectl("delete", "namespace", other.namespace, "--wait=false")


def test_the_first_version_stays_as_it_was_and_todays_is_a_later_one() -> None:
    assert hashlib.sha256(FIRST.read_bytes()).hexdigest() == FIRST_DIGEST
    about = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert tuple(map(int, about["version"].split("."))) > (0, 1, 0)
