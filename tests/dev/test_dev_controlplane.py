"""The control plane: what it serves, and how its components fail and come back."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev.controlplane import ControlPlane, audit
from rekindle_dev.controlplane.programs import COMPONENTS, PlainReport, find_programs
from rekindle_dev.processes import PartError

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked, RunScript

pytestmark = pytest.mark.stack


def test_the_kubeconfig_is_private_and_trusts_only_our_authority(control_plane: ControlPlane) -> None:
    config = json.loads(control_plane.kubeconfig.read_text())
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert "insecure-skip-tls-verify" not in config["clusters"][0]["cluster"]
    assert control_plane.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "admin"


def test_kubectl_explains_the_custom_resources(control_plane: ControlPlane) -> None:
    assert "The photo in S3" in control_plane.kubectl("explain", "rjob.spec.source")


def test_a_failing_kubectl_call_says_why(control_plane: ControlPlane) -> None:
    with pytest.raises(PartError, match='pods "missing" not found'):
        control_plane.kubectl("get", "pod", "missing")
    assert "not found" in control_plane.kubectl("get", "pod", "missing", check=False)


def test_the_job_controller_makes_pods_and_the_scheduler_looks_for_a_node(
    control_plane: ControlPlane, namespace: str, eventually: "Eventually"
) -> None:
    container = {
        "name": "main",
        "image": "nothing:1",
        "resources": {"requests": {"cpu": "1000"}},
    }
    control_plane.apply(
        [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "big", "namespace": namespace},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            }
        ]
    )
    reason = "jsonpath={.items[*].status.conditions[?(@.type=='PodScheduled')].reason}"
    eventually(lambda: control_plane.kubectl("get", "pod", "-n", namespace, "-o", reason) == "Unschedulable")
    control_plane.kubectl("delete", "job", "big", "-n", namespace)
    eventually(lambda: control_plane.kubectl("get", "pod", "-n", namespace, "-o", "name") == "")


def test_the_audit_log_counts_the_writes_of_one_program(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "counted", "-n", namespace)
    control_plane.kubectl("get", "configmap", "counted", "-n", namespace)
    control_plane.kubectl("create", "configmap", "counted", "-n", namespace, check=False)
    control_plane.kubectl("delete", "configmap", "counted", "-n", namespace)
    counted = {("create", "configmaps"): 1, ("delete", "configmaps"): 1}
    assert counted.items() <= audit.writes(control_plane.audit_log, "kubectl", namespace).items()
    assert not audit.writes(control_plane.audit_log, "someone-else", namespace)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_comes_back_with_everything_in_place(
    control_plane: ControlPlane, namespace: str, component: str
) -> None:
    server = control_plane.server
    control_plane.stop_component(component)
    control_plane.start_component(component)
    assert control_plane.server == server
    assert control_plane.kubectl("get", "secret", "-n", namespace, "-o", "name") == "secret/s3-credentials\n"


def test_a_component_that_fails_shows_its_last_log_lines(tmp_path: Path, processes_of: "Marked") -> None:
    programs = dict(find_programs(PlainReport(), say=print))
    programs["kube-apiserver"] = ("sh", "-c", "echo the certificate is upside down; exit 1")
    with pytest.raises(PartError, match=r"kube-apiserver ended with exit code 1\.(.|\n)*upside down"):
        ControlPlane.start(tmp_path, programs=programs)
    assert not processes_of(tmp_path)


@pytest.mark.slow
def test_a_second_control_plane_runs_beside_the_first_and_dies_with_its_parent(
    control_plane: ControlPlane,
    tmp_path: Path,
    run_script: "RunScript",
    processes_of: "Marked",
    eventually: "Eventually",
) -> None:
    parent = run_script(f"""
import time
from pathlib import Path
from rekindle_dev.controlplane import ControlPlane, audit
plane = ControlPlane.start(Path({str(tmp_path)!r}))
print(plane.server, flush=True)
time.sleep(600)
""")
    assert parent.stdout is not None
    server = parent.stdout.readline().strip()
    assert server.startswith("https://127.0.0.1:")
    assert server != control_plane.server
    assert len(processes_of(tmp_path)) >= len(COMPONENTS)
    parent.kill()
    parent.wait(30)
    eventually(lambda: not processes_of(tmp_path))
    assert control_plane.get("/readyz") == "ok"
