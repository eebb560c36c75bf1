"""Pods on the process node, seen through the API server: phases, conditions, container states."""

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.node.conftest import Bench, Object

pytestmark = pytest.mark.stack


def conditions(pod: "Object") -> "dict[str, tuple[str, str | None]]":
    return {c["type"]: (c["status"], c.get("reason")) for c in pod["status"]["conditions"]}


def terminated(pod: "Object") -> "Object":
    found: Object = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


def test_a_job_runs_to_completion_in_the_shapes_that_a_kubelet_writes(bench: "Bench") -> None:
    bench.start_job("echo restored; echo result > $MESSAGE", env=[{"name": "MESSAGE", "value": "/dev/termination-log"}])

    bench.kubectl("wait", "--for=condition=Complete", "job/job", "--timeout=60s")

    [pod] = bench.pods_of("job")
    status = pod["status"]
    assert status["phase"] == "Succeeded"
    assert (status["hostIP"], status["podIP"], status["podIPs"]) == ("127.0.0.1", "127.0.0.1", [{"ip": "127.0.0.1"}])
    assert status["startTime"]
    assert conditions(pod) == {
        "PodScheduled": ("True", None),
        "PodReadyToStartContainers": ("False", None),
        "Initialized": ("True", "PodCompleted"),
        "ContainersReady": ("False", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
    }
    [container] = status["containerStatuses"]
    assert (container["name"], container["image"], container["restartCount"]) == ("main", "shell:test", 0)
    assert (container["ready"], container["started"], container["lastState"]) == (False, False, {})
    assert container["imageID"].startswith("sha256:")
    end = container["state"]["terminated"]
    assert (end["exitCode"], end["reason"], end["message"]) == (0, "Completed", "result\n")
    assert end["containerID"] == container["containerID"]
    assert end["startedAt"] <= end["finishedAt"]


def test_a_running_pod_is_ready(bench: "Bench") -> None:
    bench.start("sleep 60")

    pod = bench.until_running()

    kinds = ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
    assert conditions(pod) == dict.fromkeys(kinds, ("True", None))
    [container] = pod["status"]["containerStatuses"]
    assert (container["ready"], container["started"]) == (True, True)
    assert container["state"]["running"]["startedAt"]


def test_an_exit_code_of_the_pod_failure_policy_fails_the_job_at_once(bench: "Bench") -> None:
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [11]}}
    bench.start_job("exit 11", job={"backoffLimit": 3, "podFailurePolicy": {"rules": [rule]}})

    bench.kubectl("wait", "--for=condition=Failed", "job/job", "--timeout=60s")

    job = bench.get("job", "job")
    assert job
    assert {c["reason"] for c in job["status"]["conditions"] if c["type"] == "Failed"} == {"PodFailurePolicy"}
    [pod] = bench.pods_of("job")
    assert (pod["status"]["phase"], terminated(pod)["exitCode"], terminated(pod)["reason"]) == ("Failed", 11, "Error")
    assert conditions(pod)["Ready"] == ("False", "PodFailed")


@pytest.mark.slow
def test_a_failed_pod_of_a_job_is_retried(bench: "Bench") -> None:
    bench.start_job("exit 20", job={"backoffLimit": 1})

    bench.kubectl("wait", "--for=condition=Failed", "job/job", "--timeout=60s")

    assert [terminated(pod)["exitCode"] for pod in bench.pods_of("job")] == [20, 20]


@pytest.mark.parametrize(("number", "code"), [("KILL", 137), ("TERM", 143)])
def test_a_process_that_a_signal_ended_exits_with_128_and_its_number(bench: "Bench", number: str, code: int) -> None:
    bench.start(f"kill -{number} $BASHPID")

    end = terminated(bench.until_ended())

    assert (end["exitCode"], end["reason"]) == (code, "Error")


def test_a_program_that_is_not_there_is_a_start_error(bench: "Bench") -> None:
    bench.start("", command=["no-such-program"])

    end = terminated(bench.until_ended())

    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in end["message"]


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        pytest.param("printf '%05000d' 7 > $MESSAGE; exit 1", "File", "0" * 4095 + "7", id="only its end"),
        pytest.param("echo why; exit 1", "File", None, id="nothing left"),
        pytest.param("echo why; exit 1", "FallbackToLogsOnError", "why\n", id="the log instead"),
        pytest.param("echo log; echo file > $MESSAGE; exit 1", "FallbackToLogsOnError", "file\n", id="the file first"),
        pytest.param("echo fine", "FallbackToLogsOnError", None, id="no error, no log"),
        pytest.param(
            "seq 2000; exit 1", "FallbackToLogsOnError", "\n".join(map(str, [*range(1921, 2001), ""])), id="80"
        ),
    ],
)
def test_the_termination_message_comes_from_the_file_or_the_log(
    bench: "Bench", script: str, policy: str, message: str | None
) -> None:
    bench.start(
        script,
        env=[{"name": "MESSAGE", "value": "/tmp/message"}],
        terminationMessagePath="/tmp/message",
        terminationMessagePolicy=policy,
    )

    assert terminated(bench.until_ended()).get("message") == message


def test_a_container_waits_for_its_secret_and_starts_when_it_appears(bench: "Bench") -> None:
    reference = {"secretKeyRef": {"name": "late", "key": "word"}}
    bench.start("echo $WORD", env=[{"name": "WORD", "valueFrom": reference}])

    pod = bench.until_waiting("CreateContainerConfigError")
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == 'secret "late" not found'
    assert conditions(pod)["Ready"] == ("False", "ContainersNotReady")

    bench.kubectl("create", "secret", "generic", "late", "--from-literal=other=1")
    missing = f"couldn't find key word in Secret {bench.namespace}/late"
    bench.until(lambda p: p["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("message") == missing)

    bench.kubectl("patch", "secret", "late", "-p", '{"stringData": {"word": "found"}}')
    assert bench.until_ended()["status"]["phase"] == "Succeeded"
    assert bench.kubectl("logs", "pod") == "found\n"


def test_an_unknown_image_waits_until_the_pod_names_a_known_one(bench: "Bench") -> None:
    bench.start("echo here", image="nobody/knows:this")

    pod = bench.until_waiting("ImagePullBackOff")
    assert pod["status"]["phase"] == "Pending"
    message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "nobody/knows:this": ErrImagePull: ')

    bench.kubectl("set", "image", "pod/pod", "main=docker.io/library/shell:test")
    assert bench.until_ended()["status"]["phase"] == "Succeeded"


def test_an_unknown_image_that_may_not_be_pulled_says_so(bench: "Bench") -> None:
    bench.start("", image="unknown:1", imagePullPolicy="Never")

    pod = bench.until_waiting("ErrImageNeverPull")

    message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert message == 'Container image "unknown:1" is not present with pull policy of Never'


def test_a_container_over_its_memory_limit_is_killed_with_all_its_processes(bench: "Bench") -> None:
    child = "import time; held = bytearray(150_000_000); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    bench.start(parent, image="python:test", resources={"limits": {"memory": "100Mi"}})

    pod = bench.until_ended()

    assert (pod["status"]["phase"], terminated(pod)["exitCode"], terminated(pod)["reason"]) == (
        "Failed",
        137,
        "OOMKilled",
    )


def test_a_pod_that_fills_its_scratch_volume_is_evicted_without_being_disrupted(bench: "Bench") -> None:
    bench.start(
        "head -c 3000000 /dev/zero > $SCRATCH/file; sleep 60",
        spec={"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Mi"}}]},
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
        env=[{"name": "SCRATCH", "value": "/scratch"}],
    )

    pod = bench.until_ended()

    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted")
    assert pod["status"]["message"] == 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". '
    assert terminated(pod)["exitCode"] in {137, 143}
    assert "DisruptionTarget" not in conditions(pod)


def test_a_pod_past_its_active_deadline_is_stopped(bench: "Bench") -> None:
    bench.start("sleep 60", spec={"activeDeadlineSeconds": 1})

    pod = bench.until_ended()

    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert terminated(pod)["exitCode"] == 143


def test_init_containers_run_in_order_before_the_others(bench: "Bench") -> None:
    mount = {"name": "shared", "mountPath": "/shared"}
    inits = [
        {
            "name": name,
            "image": "shell:test",
            "args": [f"echo {name} >> $FILE"],
            "env": [{"name": "FILE", "value": "/shared/order"}],
            "volumeMounts": [mount],
        }
        for name in ("one", "two")
    ]
    printed = bench.output(
        "cat $FILE",
        spec={"initContainers": inits, "volumes": [{"name": "shared", "emptyDir": {}}]},
        env=[{"name": "FILE", "value": "/shared/order"}],
        volumeMounts=[mount],
    )

    assert printed == "one\ntwo\n"
    pod = bench.get("pod", "pod")
    assert pod
    assert [s["ready"] for s in pod["status"]["initContainerStatuses"]] == [True, True]


def test_a_failing_init_container_fails_the_pod_and_nothing_else_starts(bench: "Bench") -> None:
    inits = [{"name": "first", "image": "shell:test", "args": ["exit 3"]}]
    bench.start("echo never", spec={"initContainers": inits})

    pod = bench.until_ended()

    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert conditions(pod)["Initialized"] == ("False", "ContainersNotInitialized")


def test_a_container_that_failed_is_started_again_where_the_policy_says_so(bench: "Bench") -> None:
    bench.start(
        "test -e $KEPT/tried && exit 0; touch $KEPT/tried; echo first try; exit 4",
        spec={"restartPolicy": "OnFailure", "volumes": [{"name": "kept", "emptyDir": {}}]},
        volumeMounts=[{"name": "kept", "mountPath": "/kept"}],
        env=[{"name": "KEPT", "value": "/kept"}],
    )

    pod = bench.until_ended()

    [container] = pod["status"]["containerStatuses"]
    assert (pod["status"]["phase"], container["restartCount"]) == ("Succeeded", 1)
    assert container["lastState"]["terminated"]["exitCode"] == 4
    assert bench.kubectl("logs", "pod", "--previous") == "first try\n"


def test_a_container_that_fails_again_and_again_backs_off(bench: "Bench") -> None:
    bench.start("exit 4", spec={"restartPolicy": "Always"})

    pod = bench.until_waiting("CrashLoopBackOff")

    [container] = pod["status"]["containerStatuses"]
    assert pod["status"]["phase"] == "Running"
    assert container["restartCount"] >= 1
    message = container["state"]["waiting"]["message"]
    assert re.match(r"back-off \w+ restarting failed container=main pod=pod_", message)
    bench.kubectl("delete", "pod", "pod", "--wait=false")
    bench.until_gone()


def test_a_pod_that_asks_for_what_a_process_cannot_give_fails_with_words(bench: "Bench") -> None:
    probe = {"exec": {"command": ["true"]}}
    bench.start("sleep 60", spec={"hostPID": True}, livenessProbe=probe)

    pod = bench.until_ended()

    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "UnsupportedPod")
    assert pod["status"]["message"].endswith("has no support for spec.hostPID, container main: livenessProbe")


def test_two_containers_end_one_by_one(bench: "Bench") -> None:
    second = {"name": "second", "image": "shell:test", "args": ["exit 5"]}
    spec = {"containers": [{"name": "main", "image": "shell:test", "args": ["sleep 60"]}, second]}
    bench.start("", spec=spec)

    pod = bench.until(lambda p: "terminated" in p["status"].get("containerStatuses", [{}, {"state": {}}])[1]["state"])

    assert pod["status"]["phase"] == "Running"
    assert conditions(pod)["Ready"] == ("False", "ContainersNotReady")
    assert json.dumps(pod["status"]["conditions"]).count("containers with unready status: [second]") == 2


def test_describe_tells_what_went_wrong(bench: "Bench") -> None:
    bench.start("", image="unknown:1")
    bench.until_waiting("ImagePullBackOff")
    missing = {"name": "keys", "secret": {"secretName": "nowhere"}}
    bench.start("", name="mounting", spec={"volumes": [missing]})

    bench.until(lambda _: 'Back-off pulling image "unknown:1"' in bench.kubectl("describe", "pod", "pod"))
    bench.until(lambda _: "FailedMount" in bench.kubectl("describe", "pod", "mounting"), name="mounting")
    assert 'MountVolume.SetUp failed: secret "nowhere" not found' in bench.kubectl("describe", "pod", "mounting")
