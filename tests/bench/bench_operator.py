"""How long a request to restore takes to become a pod, against a bare Job created directly."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from statistics import median
from typing import Any

from kubernetes import client, config, watch
from tests.bench.figures import Figure
from tests.bench.running import photo_of, running_stack, signed_in, upload
from urllib3.exceptions import ProtocolError

from rekindle_dev.programs import NAMESPACE
from rekindle_dev.stack import Stack

_REPEAT = 15


def figures() -> Iterator[Figure]:
    """Measure POST restore to pod created, one at a time on an idle stack."""
    with running_stack() as stack, config.new_client_from_config(str(stack.control_plane.kubeconfig)) as connection:
        pods = _Pods(connection)
        bare = [_bare_job(connection, pods, number) for number in range(_REPEAT + 1)]
        through = list(_restores(stack, pods))
        pods.stop()
    value, baseline = median(through[1:]), median(bare[1:])
    yield Figure("POST restore to pod created, median", value, "s", baseline, "bare Job", "under 0.5 s", value < 0.5)


class _Pods:
    """Notes when each pod of the namespace was first seen, by the name of its Job."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._seen: dict[str, tuple[float, str]] = {}
        self._changed = threading.Condition()
        self._watch = watch.Watch()
        self._core = client.CoreV1Api(connection)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        # The stack ends before the watch does.
        with suppress(ProtocolError):
            self._note()

    def _note(self) -> None:
        for event in self._watch.stream(self._core.list_namespaced_pod, NAMESPACE, timeout_seconds=600):
            pod = event["object"]
            with self._changed:
                owner = pod.metadata.owner_references[0].name
                first = self._seen.get(owner, (time.perf_counter(), ""))[0]
                self._seen[owner] = (first, pod.status.phase)
                self._changed.notify_all()

    def first_seen(self, named: Callable[[str], bool]) -> float:
        """Return when the pod of the Job that `named` accepts appeared; wait until it has ended and all is idle."""

        def ended() -> list[float]:
            done = ("Succeeded", "Failed")
            return [moment for owner, (moment, phase) in self._seen.items() if named(owner) and phase in done]

        with self._changed:
            if not self._changed.wait_for(ended, timeout=60):
                raise RuntimeError("no pod ended within 60 s")
            return ended()[0]

    def stop(self) -> None:
        """End the watch."""
        self._watch.stop()


def _bare_job(connection: client.ApiClient, pods: _Pods, number: int) -> float:
    name = f"bare-{number}"
    container = {"name": "main", "image": "rekindle-worker:dev", "command": ["true"]}
    body: Any = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    start = time.perf_counter()
    client.BatchV1Api(connection).create_namespaced_job(NAMESPACE, body)
    return pods.first_seen(lambda owner: owner == name) - start


def _restores(stack: Stack, pods: _Pods) -> Iterator[float]:
    with signed_in(stack) as user:
        for number in range(_REPEAT + 1):
            photo = upload(user, photo_of(128, number)).json()["id"]
            start = time.perf_counter()
            attempt = user.post(f"/api/v1/photos/{photo}/restore", json={"params": {}}).raise_for_status().json()["id"]
            prefix = f"r-{attempt.replace('-', '')}"[:20]
            yield pods.first_seen(partial(_begins_with, prefix)) - start


def _begins_with(prefix: str, owner: str) -> bool:
    return owner.startswith(prefix)
