"""The Roles of the chart against what the programs ask of the API server: no right is missing, and none is unused."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.charts.running import Programs, Surroundings, of_kinds
from tests.cluster.rights import Right, compare
from tests.e2e.photos import damaged_photo

from rekindle_api.faults import Place
from rekindle_dev.controlplane import audit
from rekindle_dev.node import ProcessNode
from rekindle_dev.service import Service
from rekindle_dev.visitor import Visitor

if TYPE_CHECKING:
    from tests.conftest import Eventually

Json = dict[str, Any]

pytestmark = [pytest.mark.stack, pytest.mark.slow]

LOST_NODE = "node-to-be-lost"
SLEEP = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(20)); print(); time.sleep(900)"
ASKED_BY_ADMISSION = {
    Right("rekindle-operator", "update", f"{plural}.rekindle.dev/finalizers")
    for plural in ("restorejobs", "animationjobs")
}
"""Never a request of the operator's: the API server looks for these rights when a child names its owner, for here the
admission plugin OwnerReferencesPermissionEnforcement is on."""


@pytest.fixture
def lost_node(control_plane: Any, tmp_path: Path) -> Iterator[ProcessNode]:
    """A node that only those pods choose that ask for it."""
    images = {"rekindle-worker:dev": [sys.executable, "-m", "rekindle_worker"]}
    with ProcessNode.start(control_plane.kubeconfig, tmp_path / "node", images, name=LOST_NODE) as running:
        control_plane.kubectl("taint", "node", LOST_NODE, "lost=soon:NoSchedule")
        yield running
    control_plane.kubectl("delete", "node", LOST_NODE)


class Admin:
    """Somebody with kubectl and all rights, who does to jobs whatever can be done to them."""

    def __init__(self, around: Surroundings, eventually: "Eventually") -> None:
        self._around = around
        self.eventually = eventually

    def kubectl(self, *arguments: str) -> str:
        return self._around.plane.kubectl("-n", self._around.namespace, *arguments)

    def make(self, kind: str, name: str, **spec: Any) -> None:
        metadata = {"name": name, "namespace": self._around.namespace}
        self._around.plane.apply(
            [{"apiVersion": "rekindle.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}]
        )

    def engine(self, name: str, script: str, **spec: Any) -> None:
        run = {"image": "rekindle-worker:dev", "command": [sys.executable, "-c", script]}
        account = "rekindle-worker"  # the operator takes no other
        self.make("Engine", name, operations=["Restore", "Animate"], serviceAccountName=account, **run, **spec)

    def job(self, kind: str, name: str, engine: str, **spec: Any) -> None:
        bucket = self._around.bucket
        places = {
            "source": {"bucket": bucket, "key": "a.jpg"},
            "output": {"bucket": bucket, "prefix": f"by-hand/{name}"},
        }
        self.make(kind, name, engineName=engine, **places, **spec)

    def change(self, kind: str, name: str, **spec: Any) -> None:
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def status(self, kind: str, name: str) -> Json:
        found: Json = json.loads(self.kubectl("get", kind, name, "-o", "json")).get("status", {})
        return found

    def until(self, kind: str, name: str, phase: str, seconds: float = 90) -> Json:
        def reached() -> Json | None:
            status = self.status(kind, name)
            return status if status.get("phase") == phase else None

        return self.eventually(reached, seconds=seconds)

    def until_finished(self) -> None:
        """Wait until all that was asked for through the API has ended."""
        for kind in ("RestoreJob", "AnimationJob"):
            self.kubectl("wait", "--for=condition=Finished", "--timeout=90s", kind, "-l", "rekindle.dev/attempt")

    def until_gone(self, kind: str, name: str) -> None:
        self.eventually(lambda: not self.kubectl("get", kind, name, "--ignore-not-found", "-o", "name"), seconds=90)


def _take_the_name_of_a_child(admin: Admin, around: Surroundings) -> None:
    """Make a Job of the name that the child of a job that waits will want."""
    uid = admin.kubectl("get", "restorejob", "conflict", "-o", "jsonpath={.metadata.uid}")
    container = {"name": "stranger", "image": "stranger", "resources": {}}
    metadata = {"name": f"conflict-r{uid[:8]}-1", "namespace": around.namespace}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], "nodeName": "nowhere"}}
    around.plane.apply(
        [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": metadata,
                "spec": {"suspend": True, "template": template},
            }
        ]
    )


def _do_by_hand(admin: Admin, around: Surroundings, node: ProcessNode) -> None:
    """Let jobs meet whatever can happen to them; what takes long is looked at last."""
    admin.engine("failing", "raise SystemExit(11)")
    admin.engine("sleeping", SLEEP)
    admin.engine(
        "unlucky",
        SLEEP,
        nodeSelector={"kubernetes.io/hostname": LOST_NODE},
        tolerations=[{"key": "lost", "operator": "Exists"}],
    )
    admin.engine("forbidden", SLEEP, runtimeClassName="does-not-exist")
    admin.engine("weighty", SLEEP, weights={"persistentVolumeClaim": {"name": "does-not-exist"}})
    admin.job("RestoreJob", "lost", "unlucky", backoffLimit=0)
    admin.job("RestoreJob", "no-pod", "forbidden")
    admin.job("RestoreJob", "no-weights", "weighty")
    admin.job("RestoreJob", "conflict", "later")
    admin.job("AnimationJob", "expires", "failing", ttlSecondsAfterFailed=1)
    for kind in ("RestoreJob", "AnimationJob"):
        admin.job(kind, "fails", "failing")
        admin.job(kind, "cancelled", "sleeping")
        admin.job(kind, "suspended", "sleeping")
    pod = admin.until("RestoreJob", "lost", "Running")["attempts"][0]["podName"]
    os.kill(node.pid, signal.SIGSTOP)
    admin.kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")
    admin.until("RestoreJob", "conflict", "Pending")
    _take_the_name_of_a_child(admin, around)
    admin.engine("later", SLEEP)
    for kind in ("RestoreJob", "AnimationJob"):
        admin.until(kind, "cancelled", "Running")
        admin.change(kind, "cancelled", cancel=True)
        admin.until(kind, "suspended", "Running")
        admin.change(kind, "suspended", suspend=True)
        admin.until(kind, "suspended", "Suspended")
        admin.change(kind, "suspended", suspend=False)
        admin.until(kind, "suspended", "Running")
        admin.kubectl("delete", kind, "suspended", "--wait=false")
        admin.until(kind, "cancelled", "Cancelled")
        # It has ended and left the operator's sight: the new time to live is seen by the list of what has ended.
        admin.until(kind, "fails", "Failed")
        admin.change(kind, "fails", ttlSecondsAfterFailed=1)
        admin.until_gone(kind, "fails")
    admin.until_gone("AnimationJob", "expires")
    admin.until("RestoreJob", "conflict", "Failed")


def _made(admin: Admin, kind: str, attempt_id: str) -> None:
    """Wait until the bridge has made the resource of an attempt."""
    found = ("get", kind, "-l", f"rekindle.dev/attempt={attempt_id}", "-o", "name")
    admin.eventually(lambda: admin.kubectl(*found), seconds=60)


def _at_the_second_try(admin: Admin, programs: Programs, ask: Callable[[], str]) -> tuple[str, Service]:
    """Have a bridge die when it has made what is asked for, and another find it; return the attempt and that one."""
    quick = {"BRIDGE_CLAIM_SECONDS": "2", "BRIDGE_REPAIR_SECONDS": "2"}
    dying = programs.begin("bridge", **quick, BRIDGE_PORT="0", REKINDLE_FAULT_POINT=Place.RESOURCE_MADE.value)
    attempt_id = ask()
    admin.eventually(lambda: dying.exit_code is not None, seconds=60)
    bridge = programs.serve("bridge", "BRIDGE_PORT", **quick, BRIDGE_HOST="127.0.0.1")
    metrics = f"{bridge.url}/metrics"
    admin.eventually(lambda: "rekindle_bridge_outbox_entries 0.0" in httpx.get(metrics, timeout=60).text)
    return attempt_id, bridge


def _do_by_the_api(admin: Admin, programs: Programs, around: Surroundings, operator_pid: int) -> None:
    """Restore and animate through the API, with a bridge that dies at the worst place; cancel both; sweep."""
    api = programs.serve("api")
    session = around.issuer.sign_up("ann@example.com", "a-long-password")
    with Visitor(api.url, session.access_token) as ann:
        photo = ann.upload("a.jpg", damaged_photo(256, seed=7))
        # Nothing may end before the second try has looked at it.
        os.kill(operator_pid, signal.SIGSTOP)
        restore, bridge = _at_the_second_try(admin, programs, lambda: ann.restore(photo))
        bridge.close()
        _at_the_second_try(admin, programs, lambda: ann.animate(photo, restore))
        os.kill(operator_pid, signal.SIGCONT)
        admin.until_finished()
        os.kill(operator_pid, signal.SIGSTOP)
        other = ann.upload("b.jpg", damaged_photo(256, seed=8))
        restore = ann.restore(other)
        _made(admin, "restorejobs", restore)
        animation = ann.animate(other, restore)
        _made(admin, "animationjobs", animation)
    headers = {"Authorization": f"Bearer {session.access_token}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=60) as http:
        for path in (f"animate/{animation}", f"restore/{restore}"):
            answer = http.delete(f"/api/v1/jobs/{other}/{path}")
            assert answer.is_success, answer.text
    os.kill(operator_pid, signal.SIGCONT)
    admin.until_finished()
    for plural in ("animationjobs", "restorejobs"):
        admin.eventually(partial(_swept, admin, programs, plural), seconds=60)


def _swept(admin: Admin, programs: Programs, plural: str) -> bool:
    programs.begin("sweep", RESOURCE_RETENTION_SECONDS="0").wait(seconds=60)
    return not admin.kubectl("get", plural, "-l", "rekindle.dev/attempt", "-o", "name")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("process_node")
def test_the_roles_grant_what_the_programs_ask_for_and_nothing_else(
    around: Surroundings, lost_node: ProcessNode, eventually: "Eventually", tmp_path: Path
) -> None:
    release, secret, admin = around.render(), around.secret(), Admin(around, eventually)
    around.make_secret(secret)
    around.plane.apply(of_kinds(release, "ServiceAccount", "Role", "RoleBinding", "Engine"))
    programs = Programs(around, release, secret, tmp_path)
    try:
        operator = programs.serve(
            "operator",
            "REKINDLE_OPERATOR_PORT",
            REKINDLE_OPERATOR_HOST="127.0.0.1",
            REKINDLE_OPERATOR_ENDED_PERIOD_SECONDS="2",
        )
        programs.migrate()
        _do_by_hand(admin, around, lost_node)
        _do_by_the_api(admin, programs, around, operator.pid)
        admin.until("RestoreJob", "lost", "Pending", seconds=150)
    finally:
        os.kill(lost_node.pid, signal.SIGCONT)
        programs.close()
    requests = [each for each in audit.read(around.plane.audit_log) if each.namespace == around.namespace]
    found = compare(release.of("Role"), release.of("RoleBinding"), requests)
    assert [str(right) for right in found.refused] == []
    assert [str(right) for right in found.unused if right not in ASKED_BY_ADMISSION] == []
    assert set(found.unused) >= ASKED_BY_ADMISSION


def _child(admin: Admin, around: Surroundings, name: str) -> Json:
    """A Job that belongs to a RestoreJob and holds up its deletion, as the operator makes them."""
    uid = admin.kubectl("get", "restorejob", "owner", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "rekindle.dev/v1alpha1", "kind": "RestoreJob", "name": "owner", "uid": uid}
    references = [owner | {"controller": True, "blockOwnerDeletion": True}]
    metadata = {"name": name, "namespace": around.namespace, "ownerReferences": references}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "worker"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"suspend": True, "template": template},
    }


def test_the_operator_may_name_the_owners_of_its_children(around: Surroundings, eventually: "Eventually") -> None:
    release, admin = around.render(), Admin(around, eventually)
    around.plane.apply(of_kinds(release, "ServiceAccount", "RoleBinding"))
    admin.job("RestoreJob", "owner", "none")
    (role,) = (each for each in release.of("Role") if each["metadata"]["name"] == "rekindle-operator")
    without = [rule for rule in role["rules"] if "restorejobs/finalizers" not in rule["resources"]]
    user = f"--as=system:serviceaccount:{around.namespace}:rekindle-operator"
    create = ("-n", around.namespace, "create", "--dry-run=server", user, "-f", "-")
    child = json.dumps(_child(admin, around, "child"))

    around.plane.apply([role | {"rules": without}])
    refused = "cannot set blockOwnerDeletion"
    eventually(lambda: refused in around.plane.kubectl(*create, check=False, stdin=child))
    around.plane.apply([role])
    eventually(lambda: "created" in around.plane.kubectl(*create, check=False, stdin=child))
