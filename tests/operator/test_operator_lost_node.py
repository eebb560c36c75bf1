"""A node that does not answer any more: its pod is given up, and another one takes its place at no retry."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rekindle_dev.node import ProcessNode

pytestmark = [pytest.mark.stack, pytest.mark.slow]

NODE = "frozen-node"


@pytest.fixture
def node(control_plane, tmp_path: Path) -> Iterator[ProcessNode]:
    """A node that only the pods of this test choose."""
    images = {"rekindle-worker:dev": [sys.executable, "-m", "rekindle_worker"]}
    with ProcessNode.start(control_plane.kubeconfig, tmp_path / "node", images, name=NODE) as running:
        yield running
    control_plane.kubectl("delete", "node", NODE)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("operator")
def test_a_pod_on_a_node_that_is_gone_is_given_up_and_costs_no_retry(api, node, tmp_path: Path):
    """The Job controller's finalizer keeps a pod until it has ended, which no kubelet says any more."""
    go = tmp_path / "go"
    api.engine(f"wait={go}", "complete", nodeSelector={"kubernetes.io/hostname": NODE})
    api.restore(backoffLimit=0)
    pod = api.until_running()["attempts"][0]["podName"]
    os.kill(node.pid, signal.SIGSTOP)
    try:
        # As the controller manager does for a node that is tainted as unreachable.
        api.delete("pods", pod, gracePeriodSeconds=1)
        told = api.until(lambda status: "reason" in status["attempts"][0], seconds=120)
        api.until_gone("pods", pod)
    finally:
        os.kill(node.pid, signal.SIGCONT)
    assert told["attempts"][0]["reason"] == "NodeLost"
    assert told["disruptions"] == 1
    assert "failures" not in told
    go.touch()
    assert api.until_finished(seconds=60)["phase"] == "Succeeded"
