"""Pods that only seem to run: what they show, how they end, and that they need no process."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from tests.node.conftest import Bench, state

from rekindle_dev.node import ProcessNode
from rekindle_dev.node.scripts import Life

if TYPE_CHECKING:
    from tests.conftest import Eventually

    from rekindle_dev.controlplane import ControlPlane

pytestmark = pytest.mark.stack

NODE = "idle-node"


def play(environment: Mapping[str, str]) -> Life:
    """The script of the image `idle:test`."""
    seconds = float(environment["SECONDS"])
    return Life(seconds, lambda elapsed: f"one\ntwo\n{elapsed:.3f}\n", int(environment.get("CODE", "0")), "told")


@pytest.fixture(scope="module")
def idle_node(control_plane: "ControlPlane", tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessNode]:
    folder, scripts = tmp_path_factory.mktemp("idle"), {"idle:test": "tests.node.test_node_idle:play"}
    with ProcessNode.start(control_plane.kubeconfig, folder, {}, NODE, scripts=scripts, pods=5001) as running:
        yield running
    control_plane.kubectl("delete", "node", NODE)


@pytest.fixture
def idle(control_plane: "ControlPlane", idle_node: ProcessNode, namespace: str, eventually: "Eventually") -> Bench:
    return Bench(control_plane, namespace, eventually, idle_node.name)


def _start(bench: Bench, **variables: str) -> str:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    return bench.start("", image="idle:test", env=environment)


def test_an_idle_node_takes_as_many_pods_as_it_is_told(idle: Bench) -> None:
    node: Any = idle.get("node", NODE)
    assert node["status"]["allocatable"]["pods"] == "5001"


@pytest.mark.parametrize(("code", "phase", "reason"), [("0", "Succeeded", "Completed"), ("7", "Failed", "Error")])
def test_an_idle_pod_ends_as_its_script_says(idle: Bench, code: str, phase: str, reason: str) -> None:
    _start(idle, SECONDS="0", CODE=code)

    ended = idle.until_ended()

    told = state(ended)["terminated"]
    assert ended["status"]["phase"] == phase
    assert (told["exitCode"], told["reason"], told["message"]) == (int(code), reason, "told")


def test_the_log_of_an_idle_pod_moves_on_while_it_runs(idle: Bench) -> None:
    _start(idle, SECONDS="600")
    idle.until_running()

    first, later = idle.kubectl("logs", "pod", "--tail=1"), idle.kubectl("logs", "pod", "--tail=1")

    assert 0 <= float(first) < float(later) < 600
    assert idle.kubectl("logs", "pod", "--limit-bytes=5") == "one\nt"


def test_an_idle_pod_that_is_deleted_ends_and_goes(idle: Bench) -> None:
    _start(idle, SECONDS="600")
    idle.until_running()

    idle.kubectl("delete", "pod", "pod", "--wait=false")

    idle.until_gone()


def test_a_job_of_idle_pods_completes(idle: Bench) -> None:
    environment = [{"name": "SECONDS", "value": "0.1"}]
    idle.start_job("", image="idle:test", env=environment)

    idle.until(lambda job: job["status"].get("succeeded") == 1, kind="job", name="job")
