"""What a container finds: variables from every source, volumes as folders, paths turned to them."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rekindle_dev.node.environment import expand, relocate

if TYPE_CHECKING:
    from tests.node.conftest import Bench


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)/$(B)", "1/two words"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("cost: 5$", "cost: 5$"),
        ("${A}", "${A}"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "two words"}) == expanded


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("/scratch", "/pods/1/scratch"),
        ("/scratch/a/b", "/pods/1/scratch/a/b"),
        ("/scratch-not", "/scratch-not"),
        ("/scratch/inner/c", "/pods/1/inner/c"),
        ("s3://scratch", "s3://scratch"),
        ("/dev/termination-log", "/pods/1/message"),
        ('{"path": "/scratch"}', '{"path": "/scratch"}'),
    ],
)
def test_paths_below_a_mount_become_paths_below_its_folder(text: str, moved: str) -> None:
    folders = {
        "/scratch": Path("/pods/1/scratch"),
        "/scratch/inner": Path("/pods/1/inner"),
        "/dev/termination-log": Path("/pods/1/message"),
    }
    assert relocate(text, folders) == moved


@pytest.mark.stack
def test_variables_come_from_everywhere(bench: "Bench") -> None:
    bench.kubectl("create", "secret", "generic", "keys", "--from-literal=ID=me", "--from-literal=SECRET=hush")
    bench.kubectl("create", "configmap", "settings", "--from-literal=level=high")
    sources = {
        "NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "UID_": {"fieldRef": {"fieldPath": "metadata.uid"}},
        "LABEL": {"fieldRef": {"fieldPath": "metadata.labels['rekindle.dev/run']"}},
        "NOTE": {"fieldRef": {"fieldPath": "metadata.annotations['note']"}},
        "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}},
        "ACCOUNT": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}},
        "ADDRESS": {"fieldRef": {"fieldPath": "status.podIP"}},
        "MEMORY": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        "CPU": {"resourceFieldRef": {"resource": "limits.cpu"}},
        "LEVEL": {"configMapKeyRef": {"name": "settings", "key": "level"}},
        "KEY": {"secretKeyRef": {"name": "keys", "key": "SECRET"}},
        "ABSENT": {"secretKeyRef": {"name": "nowhere", "key": "none", "optional": True}},
    }
    environment = [{"name": name, "valueFrom": source} for name, source in sources.items()]
    environment.append({"name": "JOINED", "value": "$(NAMESPACE)/$(NAME) $(NONE)"})

    printed = bench.output(
        "env; echo args: $(NAME)",
        metadata={"labels": {"rekindle.dev/run": "7"}, "annotations": {"note": "well kept"}},
        env=environment,
        envFrom=[
            {"secretRef": {"name": "keys"}, "prefix": "S3_"},
            {"configMapRef": {"name": "none", "optional": True}},
        ],
        resources={"limits": {"memory": "256Mi", "cpu": "1500m"}, "requests": {"cpu": "1m", "memory": "1Mi"}},
    )

    pod = bench.get("pod", "pod")
    assert pod
    lines = printed.splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    expected = {
        "NAME": "pod",
        "NAMESPACE": bench.namespace,
        "UID_": pod["metadata"]["uid"],
        "LABEL": "7",
        "NOTE": "well kept",
        "NODE": bench.node,
        "ACCOUNT": "default",
        "ADDRESS": "127.0.0.1",
        "MEMORY": "256",
        "CPU": "2",
        "LEVEL": "high",
        "KEY": "hush",
        "S3_ID": "me",
        "S3_SECRET": "hush",
        "JOINED": f"{bench.namespace}/pod $(NONE)",
        "HOSTNAME": "pod",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert "ABSENT" not in variables
    assert "args: pod" in lines


@pytest.mark.stack
def test_the_environment_of_the_node_stays_outside(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the developer")

    assert "AWS_" not in bench.output("env")


@pytest.mark.stack
def test_volumes_become_folders_and_paths_lead_there(bench: "Bench") -> None:
    bench.kubectl("create", "secret", "generic", "keys", "--from-literal=a=secret a", "--from-literal=b=secret b")
    bench.kubectl("create", "configmap", "settings", "--from-literal=level=high")
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {
            "name": "keys",
            "secret": {"secretName": "keys", "items": [{"key": "b", "path": "deep/b"}], "defaultMode": 0o400},
        },
        {"name": "all", "projected": {"sources": [{"configMap": {"name": "settings"}}, {"downwardAPI": downward}]}},
    ]
    places = {"SCRATCH": "/scratch/sub", "KEYS": "/keys", "ALL": "/all/", "ELSEWHERE": "/elsewhere"}

    printed = bench.output(
        "set -e; pwd > $SCRATCH; cat $SCRATCH; cat $KEYS/deep/b; echo; stat -Lc %a $KEYS/deep/b; cat $ALL/level; echo; "
        "cat $ALL/labels; echo; echo $ELSEWHERE",
        metadata={"labels": {"run": "1"}},
        spec={"volumes": volumes},
        volumeMounts=[{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes],
        env=[{"name": name, "value": place} for name, place in places.items()],
        workingDir="/scratch",
    )

    folder, *rest = printed.splitlines()
    assert folder.endswith("/volumes/scratch")
    assert rest == ["secret b", "400", "high", 'run="1"', "/elsewhere"]


@pytest.mark.stack
def test_a_service_account_token_is_mounted_and_good(bench: "Bench") -> None:
    printed = bench.output(
        "ls $ACCOUNT; cat $ACCOUNT/namespace; echo; cat $ACCOUNT/token",
        spec={"automountServiceAccountToken": True},
        env=[{"name": "ACCOUNT", "value": "/var/run/secrets/kubernetes.io/serviceaccount"}],
    )

    *files, namespace, token = printed.splitlines()
    assert files == ["ca.crt", "namespace", "token"]
    assert namespace == bench.namespace
    assert bench.kubectl("auth", "whoami", f"--token={token}").count(f"system:serviceaccount:{bench.namespace}:default")


@pytest.mark.stack
def test_weights_come_from_a_claim_on_a_folder(bench: "Bench", tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("many numbers\n")
    shared = {"storageClassName": "", "accessModes": ["ReadOnlyMany"]}
    volume = bench.namespace
    bench.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {**shared, "capacity": {"storage": "1Mi"}, "hostPath": {"path": str(tmp_path)}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "weights", "namespace": bench.namespace},
            "spec": {**shared, "volumeName": volume, "resources": {"requests": {"storage": "1Mi"}}},
        },
    )

    printed = bench.output(
        "cat $WEIGHTS/weights.bin",
        spec={"volumes": [{"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}]},
        volumeMounts=[{"name": "weights", "mountPath": "/weights", "readOnly": True}],
        env=[{"name": "WEIGHTS", "value": "/weights"}],
    )

    assert printed == "many numbers\n"
