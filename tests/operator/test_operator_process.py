"""The operator as a process: what it needs to start, how it answers probes, and how it ends."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
import yaml

pytestmark = pytest.mark.stack


def run(*arguments: str, kubeconfig) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "rekindle_operator", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def powerless_kubeconfig(control_plane, namespace, tmp_path):
    """A kubeconfig of a service account that may read Engines only."""
    control_plane.kubectl("create", "serviceaccount", "weak", "-n", namespace)
    control_plane.kubectl(
        "create", "role", "weak", "--verb=get,list,watch", "--resource=engines.rekindle.dev", "-n", namespace
    )
    control_plane.kubectl(
        "create", "rolebinding", "weak", "--role=weak", f"--serviceaccount={namespace}:weak", "-n", namespace
    )
    token = control_plane.kubectl("create", "token", "weak", "-n", namespace).strip()
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_check_says_that_everything_is_in_order(control_plane, namespace):
    answer = run("check", "--namespace", namespace, kubeconfig=control_plane.kubeconfig)
    assert answer.returncode == 0
    assert "in order" in answer.stdout


def test_check_names_every_permission_that_is_missing(namespace, powerless_kubeconfig):
    answer = run("check", "--namespace", namespace, kubeconfig=powerless_kubeconfig)
    assert answer.returncode == 1
    missing = answer.stdout.splitlines()
    assert f"missing: permission to create jobs.batch in namespace {namespace}" in missing
    assert f"missing: permission to patch restorejobs/status.rekindle.dev in namespace {namespace}" in missing
    assert f"missing: permission to get pods/log in namespace {namespace}" in missing
    assert "engines.rekindle.dev" not in answer.stdout


def test_the_operator_does_not_start_without_its_permissions(namespace, powerless_kubeconfig):
    answer = run("run", "--namespace", namespace, kubeconfig=powerless_kubeconfig)
    assert answer.returncode == 1
    assert "permission to create jobs.batch" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_operator_waits_a_moment_for_what_is_missing(api, namespace, powerless_kubeconfig, tmp_path, eventually):
    weak = api.get("serviceaccounts", "weak")["metadata"]
    admin = {
        "metadata": {"name": "strong"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": weak["name"], "namespace": weak["namespace"]}],
    }
    log = tmp_path / "log"
    environment = {**os.environ, "KUBECONFIG": str(powerless_kubeconfig), "REKINDLE_OPERATOR_PORT": "0"}
    command = [sys.executable, "-m", "rekindle_operator", "run", "--namespace", namespace]
    with log.open("wb") as stream, subprocess.Popen(command, env=environment, stderr=stream) as process:
        eventually(lambda: "cluster lacks something" in log.read_text())
        api.create("rolebindings", admin)
        eventually(lambda: "operator started" in log.read_text())
        process.terminate()


def test_a_kubeconfig_that_does_not_exist_is_one_clear_line(tmp_path):
    answer = run("check", kubeconfig=tmp_path / "absent")
    assert answer.returncode == 1
    assert "absent" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_probes_and_metrics_answer(api, operator):
    assert httpx.get(f"{operator.url}/healthz", timeout=60).status_code == 200
    assert httpx.get(f"{operator.url}/readyz", timeout=60).status_code == 200
    api.restore()
    api.until_noticed("Warning", "EngineNotFound")
    page = operator.metrics()
    assert 'rekindle_jobs{kind="RestoreJob",phase="Pending"} 1.0' in page
    assert "rekindle_queue_depth 0.0" in page
    assert "rekindle_watch_age_seconds" in page
    assert 'rekindle_api_requests_total{code="200",verb="PATCH"} 1.0' in page


def test_log_lines_are_json_and_name_the_job(api, operator):
    job = api.restore()
    api.until_noticed("Warning", "EngineNotFound")
    [line] = [line for line in operator.lines() if line["message"] == "job moved"]
    assert (line["namespace"], line["name"], line["uid"]) == (api.namespace, "photo", job["metadata"]["uid"])


@pytest.mark.usefixtures("process_node")
def test_one_operator_serves_several_namespaces_and_no_other(api, stopped_operator, control_plane, namespace):
    other, foreign = (type(api)(control_plane, f"{namespace}-{name}") for name in ("other", "foreign"))
    for neighbour in (other, foreign):
        control_plane.create_namespace(neighbour.namespace)
    stopped_operator.start(namespaces=f"{namespace}, {other.namespace}")
    for place in (foreign, api, other):
        place.engine("complete")
        place.restore()
    assert api.until_finished()["phase"] == "Succeeded"
    assert other.until_finished()["phase"] == "Succeeded"
    assert foreign.status() == {"observedGeneration": -1}
    for neighbour in (other, foreign):
        neighbour.client.close()
        control_plane.kubectl("delete", "namespace", neighbour.namespace, "--wait=false")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_operator_cleanly(operator, number):
    operator.process.send_signal(number)
    assert operator.process.wait(60) == 0
    assert operator.lines()[-1]["message"] == "operator stopped"
    assert "Traceback" not in operator.log.read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("process_node")
def test_a_restart_of_the_api_server_is_survived(api, operator, control_plane, tmp_path):
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete")
    api.restore("before")
    api.until_running("before")
    control_plane.stop_component("kube-apiserver")
    assert httpx.get(f"{operator.url}/healthz", timeout=60).status_code == 200
    control_plane.start_component("kube-apiserver")
    go.touch()
    assert api.until_finished("before", seconds=90)["phase"] == "Succeeded"
    api.restore("after")
    assert api.until_finished("after", seconds=90)["phase"] == "Succeeded"
    assert operator.process.poll() is None
