"""Ends: of pods that are deleted, of the node, and of the API server under it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev.node import ProcessNode
from rekindle_dev.processes import PartError

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.node.conftest import Bench, Object

    from rekindle_dev.controlplane import ControlPlane

pytestmark = pytest.mark.stack
IMAGES = {"shell:test": ["bash", "-c"]}
KEEP = {"finalizers": ["test.rekindle.dev/look"]}


def release(bench: "Bench", name: str = "pod") -> None:
    bench.kubectl("patch", "pod", name, "--type=json", "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]')
    bench.until_gone(name)


def ended(bench: "Bench") -> "Object":
    """The last state of a deleted pod that a finalizer keeps."""
    pod = bench.until_ended()
    end: Object = state(pod)["terminated"]
    return end


def state(pod: "Object") -> "Object":
    found: Object = pod["status"]["containerStatuses"][0]["state"]
    return found


def test_a_deleted_pod_may_end_in_order_and_its_last_words_are_written(bench: "Bench") -> None:
    bench.start(
        "trap 'echo saved > $MESSAGE; exit 20' TERM; echo armed; while true; do sleep 0.05; done",
        metadata=KEEP,
        env=[{"name": "MESSAGE", "value": "/dev/termination-log"}],
    )
    bench.until(lambda _: "armed" in bench.kubectl("logs", "pod", check=False))

    bench.kubectl("delete", "pod", "pod", "--wait=false")

    end = ended(bench)
    assert (end["exitCode"], end["reason"], end["message"]) == (20, "Error", "saved\n")
    release(bench)


def test_a_pod_that_does_not_listen_is_killed_after_its_grace(bench: "Bench") -> None:
    bench.start("trap '' TERM; echo armed; while true; do sleep 0.05; done", metadata=KEEP)
    bench.until(lambda _: "armed" in bench.kubectl("logs", "pod", check=False))

    bench.kubectl("delete", "pod", "pod", "--grace-period=1", "--wait=false")

    assert (ended(bench)["exitCode"], ended(bench)["reason"]) == (137, "Error")
    release(bench)


def test_a_second_deletion_can_shorten_the_grace(bench: "Bench") -> None:
    bench.start(
        "trap '' TERM; echo armed; while true; do sleep 0.05; done", spec={"terminationGracePeriodSeconds": 3600}
    )
    bench.until(lambda _: "armed" in bench.kubectl("logs", "pod", check=False))

    bench.kubectl("delete", "pod", "pod", "--wait=false")
    bench.kubectl("delete", "pod", "pod", "--wait=false", "--grace-period=1")

    bench.until_gone()


def test_a_pod_that_never_started_can_be_deleted(bench: "Bench") -> None:
    bench.start("", image="unknown:1", metadata=KEEP)
    bench.until_waiting("ImagePullBackOff")

    bench.kubectl("delete", "pod", "pod", "--wait=false")

    assert (ended(bench)["exitCode"], ended(bench)["reason"]) == (137, "ContainerStatusUnknown")
    release(bench)


def test_a_pod_that_was_removed_by_force_leaves_no_process(
    bench: "Bench", marked: Callable[[str], list[int]], eventually: "Eventually"
) -> None:
    bench.start(f"trap '' TERM; exec -a {bench.namespace} sleep 600")
    eventually(lambda: marked(bench.namespace))

    bench.kubectl("delete", "pod", "pod", "--force", "--grace-period=0")

    eventually(lambda: not marked(bench.namespace))


def test_an_evicted_pod_keeps_the_condition_that_the_api_server_set(bench: "Bench") -> None:
    bench.start("sleep 600", metadata=KEEP)
    bench.until_running()
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "pod", "namespace": bench.namespace},
    }
    path = f"/api/v1/namespaces/{bench.namespace}/pods/pod/eviction"

    bench.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    assert ended(bench)["exitCode"] == 143
    pod = bench.get("pod", "pod")
    assert pod
    assert [c["reason"] for c in pod["status"]["conditions"] if c["type"] == "DisruptionTarget"] == [
        "EvictionByEvictionAPI"
    ]
    release(bench)


def test_deleting_a_job_ends_its_pods_and_their_processes(
    bench: "Bench", marked: Callable[[str], list[int]], eventually: "Eventually"
) -> None:
    # A process that leaves its parent, its group and its session behind belongs to the container all the same.
    bench.start_job(
        f"(setsid bash -c 'exec -a {bench.namespace}-stray sleep 600' &); exec -a {bench.namespace} sleep 600"
    )
    eventually(lambda: len(marked(f"{bench.namespace}\0")) == 1 and len(marked(f"{bench.namespace}-stray\0")) == 1)

    bench.kubectl("delete", "job", "job")

    eventually(lambda: not bench.pods_of("job"))
    assert not marked(f"{bench.namespace}\0")
    assert not marked(f"{bench.namespace}-stray\0")


def test_killing_the_node_leaves_no_process_and_the_next_one_tells_what_was_lost(
    bench_on: "Callable[[str], Bench]",
    control_plane: "ControlPlane",
    tmp_path: Path,
    marked: Callable[[str], list[int]],
    eventually: "Eventually",
) -> None:
    node = ProcessNode.start(control_plane.kubeconfig, tmp_path, IMAGES, "fragile-node")
    bench = bench_on(node.name)
    word = bench.namespace
    bench.start(f"(setsid bash -c 'exec -a {word}-stray sleep 600' &); trap '' TERM; exec -a {word} sleep 600")
    bench.start("exit 3", name="done")
    bench.start("", name="waiting", image="unknown:1")
    eventually(lambda: len(marked(word + "\0")) == 1 and len(marked(f"{word}-stray\0")) == 1)
    bench.until_running()
    bench.until_ended("done")

    node.kill()

    eventually(lambda: not marked(word + "\0") and not marked(f"{word}-stray\0"))
    with ProcessNode.start(control_plane.kubeconfig, tmp_path, IMAGES, "fragile-node"):
        pod = bench.until_ended()
        end = state(pod)["terminated"]
        assert (pod["status"]["phase"], end["exitCode"], end["reason"]) == ("Failed", 137, "ContainerStatusUnknown")
        assert bench.until_ended("done")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
        bench.kubectl("set", "image", "pod/waiting", "main=shell:test")
        assert bench.until_ended("waiting")["status"]["phase"] == "Succeeded"
        bench.kubectl("delete", "pod", "--all", "--wait=false")
        bench.until_gone()
    control_plane.kubectl("delete", "node", "fragile-node")


def test_a_node_whose_starter_is_killed_ends_with_its_pods(
    bench_on: "Callable[[str], Bench]",
    control_plane: "ControlPlane",
    tmp_path: Path,
    marked: Callable[[str], list[int]],
    eventually: "Eventually",
) -> None:
    paths = f"Path({str(control_plane.kubeconfig)!r}), Path({str(tmp_path)!r})"
    script = (
        "import sys; from pathlib import Path; from rekindle_dev.node import ProcessNode\n"
        f"ProcessNode.start({paths}, {IMAGES!r}, 'orphan-node'); print('up', flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"up\n"
        bench = bench_on("orphan-node")
        bench.start(f"exec -a {bench.namespace} sleep 600")
        eventually(lambda: marked(bench.namespace + "\0"))

        starter.kill()

    eventually(lambda: not marked(bench.namespace + "\0") and not marked("orphan-node"))
    control_plane.kubectl("delete", "node", "orphan-node")


def test_a_stopped_node_leaves_no_process_and_takes_no_more_pods(
    bench_on: "Callable[[str], Bench]",
    control_plane: "ControlPlane",
    tmp_path: Path,
    marked: Callable[[str], list[int]],
    eventually: "Eventually",
) -> None:
    with ProcessNode.start(control_plane.kubeconfig, tmp_path, IMAGES, "stopped-node") as node:
        bench = bench_on(node.name)
        bench.start(f"trap '' TERM; exec -a {bench.namespace} sleep 600")
        eventually(lambda: marked(bench.namespace + "\0"))
        lease = control_plane.kubectl("-n", "kube-node-lease", "get", "lease", node.name, "-o", "jsonpath={.spec}")
        assert json.loads(lease)["holderIdentity"] == node.name

    assert not marked(bench.namespace + "\0")
    conditions = control_plane.kubectl("get", "node", "stopped-node", "-o", "jsonpath={.status.conditions}")
    assert [c["status"] for c in json.loads(conditions) if c["type"] == "Ready"] == ["False"]
    control_plane.kubectl("delete", "node", "stopped-node")


def test_two_nodes_do_not_share_a_directory(control_plane: "ControlPlane", tmp_path: Path) -> None:
    with (
        ProcessNode.start(control_plane.kubeconfig, tmp_path, IMAGES, "first-node"),
        pytest.raises(PartError, match="another node runs in"),
    ):
        ProcessNode.start(control_plane.kubeconfig, tmp_path, IMAGES, "second-node")
    control_plane.kubectl("delete", "node", "first-node")


@pytest.mark.slow
def test_a_pod_runs_on_while_the_api_server_is_away(
    bench: "Bench", control_plane: "ControlPlane", marked: Callable[[str], list[int]], eventually: "Eventually"
) -> None:
    bench.start(f"echo before; read -t 600 < <(exec -a {bench.namespace} sleep 600); echo after")
    bench.until_running()
    eventually(lambda: marked(bench.namespace + "\0"))

    control_plane.stop_component("kube-apiserver")
    for pid in marked(bench.namespace + "\0"):
        os.kill(pid, signal.SIGKILL)
    control_plane.start_component("kube-apiserver")

    assert bench.until_ended()["status"]["phase"] == "Succeeded"
    assert bench.kubectl("logs", "pod") == "before\nafter\n"
    bench.start("echo more", name="next")
    assert bench.until_ended("next")["status"]["phase"] == "Succeeded"


@pytest.mark.slow
def test_a_hundred_pods_run_at_once(bench: "Bench", eventually: "Eventually") -> None:
    parallel = {"completions": 100, "parallelism": 100}
    bench.start_job(
        "until test -e $GATE; do sleep 1; done", job=parallel, env=[{"name": "GATE", "value": "/gate/open"}]
    )
    eventually(lambda: [p["status"]["phase"] for p in bench.pods_of("job")] == ["Running"] * 100, seconds=120)

    bench.kubectl("delete", "job", "job")

    eventually(lambda: not bench.pods_of("job"))
