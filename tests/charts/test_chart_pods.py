"""What the chart renders, for every values file: pods that may run anywhere, names and labels, and what switches do."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.charts.rendered import (
    CHART,
    EVERYTHING,
    FILES,
    NAMESPACE,
    OWN,
    VARIANTS,
    Json,
    PodTemplate,
    Release,
    merged,
    render,
    values_of,
    variant,
)

from rekindle_dev import helm

CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "Namespace", "PriorityClass", "CustomResourceDefinition"}
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
EVERY_VARIANT = pytest.mark.parametrize("release", VARIANTS, indirect=True)


@pytest.fixture
def release(request: pytest.FixtureRequest) -> Release:
    return variant(request.param)


def _containers(release: Release) -> Iterator[tuple[PodTemplate, Json, str]]:
    for pod in release.pods():
        for container in pod.containers:
            yield pod, container, f"{pod.owner['metadata']['name']}/{container['name']}"


def _lasting(pod: PodTemplate) -> list[Json]:
    """The containers of a pod that are meant to stay."""
    return list(pod.spec["containers"]) if pod.owner["kind"] in {"Deployment", "StatefulSet"} else []


def _names(release: Release) -> Counter[tuple[str, str]]:
    return Counter((each["kind"], each["metadata"]["name"]) for each in release.objects)


def _hash(of: PodTemplate) -> dict[str, str]:
    return {key: value for key, value in of.metadata.get("annotations", {}).items() if "checksum" in key}


@pytest.mark.parametrize("name", VARIANTS)
def test_helm_finds_no_fault(name: str) -> None:
    file = FILES[VARIANTS[name][0]]
    arguments = [f"--values={CHART / file}"] if file else []
    told = helm.run("lint", "--strict", CHART, *arguments, "--values=-", stdin=json.dumps(values_of(name)))
    assert "0 chart(s) failed" in told
    assert "[WARNING]" not in told


@EVERY_VARIANT
def test_every_pod_meets_pod_security_restricted(release: Release) -> None:
    for pod in release.pods():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
        assert all(
            {"emptyDir", "configMap", "secret", "projected"} & volume.keys() for volume in pod.spec.get("volumes", [])
        )
    for pod, container, where in _containers(release):
        security = pod.spec.get("securityContext", {}) | container.get("securityContext", {})
        assert security["runAsNonRoot"] is True, where
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["capabilities"] == {"drop": ["ALL"]}, where
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where


@EVERY_VARIANT
def test_every_container_says_what_it_needs(release: Release) -> None:
    for _, container, where in _containers(release):
        resources = container.get("resources", {})
        assert {"cpu", "memory"} <= resources.get("requests", {}).keys(), where
        assert "memory" in resources.get("limits", {}), where


@EVERY_VARIANT
def test_every_container_that_stays_is_asked_how_it_is(release: Release) -> None:
    for pod in release.pods():
        for container in _lasting(pod):
            assert container.get("readinessProbe"), container["name"]
            assert container.get("livenessProbe") or pod.component == "tryout", container["name"]
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in (container["readinessProbe"], container.get("livenessProbe", {})):
                if isinstance(port := probe.get("httpGet", {}).get("port"), str):
                    assert port in ports, container["name"]


@EVERY_VARIANT
def test_every_container_can_write_to_a_folder_of_its_own(release: Release) -> None:
    for pod, container, where in _containers(release):
        if pod.component == "test":
            continue
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        mounts = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", [])}
        assert set(mounts.values()) <= volumes.keys(), where
        assert "emptyDir" in volumes[mounts["/tmp"]], where


@EVERY_VARIANT
def test_only_those_who_call_kubernetes_have_a_token(release: Release) -> None:
    accounts = {each["metadata"]["name"]: each for each in release.of("ServiceAccount")}
    with_token = set()
    for pod in release.pods():
        account = accounts.get(pod.spec.get("serviceAccountName"), {})
        if pod.spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            with_token.add(pod.component)
        assert pod.spec["enableServiceLinks"] is False
    # The test asks in the operator's name what the operator lacks.
    assert with_token == {"operator", "bridge", "sweep", "test"}


@EVERY_VARIANT
def test_who_has_a_role_has_an_account_and_a_token(release: Release) -> None:
    roles = {each["metadata"]["name"] for each in release.of("Role")}
    accounts = {each["metadata"]["name"] for each in release.of("ServiceAccount")}
    bound = set()
    for binding in release.of("RoleBinding"):
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["roleRef"]["name"] in roles
        for subject in binding["subjects"]:
            assert subject["kind"] == "ServiceAccount"
            assert subject["name"] in accounts
            assert subject["namespace"] == NAMESPACE
            bound.add(subject["name"])
    assert bound == {f"rekindle-{component}" for component in ("operator", "bridge", "sweep")}


@EVERY_VARIANT
def test_no_right_is_a_wildcard(release: Release) -> None:
    for role in release.of("Role", "ClusterRole"):
        for rule in role["rules"]:
            for field in ("apiGroups", "resources", "verbs"):
                assert "*" not in rule[field], role["metadata"]["name"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            assert "secrets" not in rule["resources"]


@EVERY_VARIANT
def test_everything_is_in_the_namespace_of_the_release(release: Release, request: pytest.FixtureRequest) -> None:
    everywhere = [each["kind"] for each in release.objects if each["kind"] in CLUSTER_SCOPED]
    asked_for = "everything on" in request.node.callspec.params["release"]
    assert bool(everywhere) == asked_for
    assert set(everywhere) <= {"ClusterRole"}
    for each in release.objects:
        if each["kind"] not in CLUSTER_SCOPED:
            assert each["metadata"]["namespace"] == NAMESPACE, each["metadata"]["name"]


@EVERY_VARIANT
def test_names_are_unique_and_short_enough(release: Release) -> None:
    assert max(_names(release).values()) == 1
    for each in release.objects:
        name = each["metadata"]["name"]
        # The names of ClusterRoles may hold colons; a CronJob adds eleven characters to its own.
        longest = 52 if each["kind"] == "CronJob" else 63
        assert len(name) <= longest
        assert LABEL.fullmatch(name), name


def test_the_longest_names_of_releases_still_make_names() -> None:
    release = render("", merged(OWN, EVERYTHING), name="r" + "e" * 51 + "k")
    test_names_are_unique_and_short_enough(release)


@EVERY_VARIANT
def test_everything_has_the_recommended_labels(release: Release, request: pytest.FixtureRequest) -> None:
    common = values_of(request.node.callspec.params["release"]).get("commonLabels", {})
    for each in release.objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "rekindle"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "rekindle"
        assert labels["helm.sh/chart"].startswith("rekindle-")
        assert "app.kubernetes.io/component" in labels, each["metadata"]["name"]
        assert common.items() <= labels.items()


@EVERY_VARIANT
def test_selectors_find_the_pods_of_their_component_and_no_others(release: Release) -> None:
    pods = list(release.pods())
    for each in release.of("Deployment", "StatefulSet"):
        selector = each["spec"]["selector"]["matchLabels"]
        # Selectors can never be changed: nothing in them may depend on the version.
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & selector.keys()
        found = [pod.owner["metadata"]["name"] for pod in pods if selector.items() <= pod.labels.items()]
        assert found == [each["metadata"]["name"]]
    for each in release.of("Service", "PodDisruptionBudget"):
        selector = each["spec"]["selector"]
        selector = selector.get("matchLabels", selector)
        assert [pod for pod in pods if selector.items() <= pod.labels.items()], each["metadata"]["name"]


@EVERY_VARIANT
def test_services_lead_to_ports_that_are_there(release: Release) -> None:
    pods = list(release.pods())
    for service in release.of("Service"):
        chosen = [pod for pod in pods if service["spec"]["selector"].items() <= pod.labels.items()]
        named = {port["name"] for pod in chosen for each in pod.containers for port in each.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


@EVERY_VARIANT
def test_what_is_named_in_a_pod_is_there(release: Release) -> None:
    have = {(each["kind"], each["metadata"]["name"]) for each in release.objects}
    have |= {("Secret", "rekindle-secrets"), ("ConfigMap", "rds-ca"), ("ServiceAccount", "default")}
    for pod, container, where in _containers(release):
        assert ("ServiceAccount", pod.spec.get("serviceAccountName", "default")) in have, where
        for source in container.get("envFrom", []):
            # What is secret is named key by key.
            assert ("ConfigMap", source["configMapRef"]["name"]) in have, where
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert ("Secret", reference["name"]) in have, where
        for volume in pod.spec.get("volumes", []):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in have, where


def test_two_releases_have_no_name_in_common() -> None:
    """Engines have the names that jobs call them by, and ClusterRoles are made by one release of a cluster."""
    values = merged(OWN, EVERYTHING, {"rbac": {"aggregate": False}, "engines": {"classical": None, "studio": None}})
    first, second = (render("staging", values, name=name) for name in ("red", "blue"))
    assert not _names(first).keys() & _names(second).keys()


def test_releases_in_two_namespaces_share_nothing_of_the_cluster() -> None:
    for file, namespace in (("dev", "development"), ("staging", "staging")):
        release = render(file, OWN if file == "staging" else {}, namespace=namespace)
        assert {each["metadata"].get("namespace") for each in release.objects} == {namespace}


@pytest.mark.parametrize(
    ("component", "change"),
    [
        ("api", {"api": {"logLevel": "DEBUG"}}),
        ("api", {"plans": {"free": {"credits": 7}}}),
        ("bridge", {"bridge": {"env": {"BRIDGE_POLL_SECONDS": 3}}}),
        ("operator", {"operator": {"maxRunning": 3}}),
    ],
)
def test_pods_are_made_anew_when_their_settings_change(component: str, change: Mapping[str, Any]) -> None:
    before, after = render("staging", OWN).pod(component), render("staging", merged(OWN, change)).pod(component)
    assert before.spec == after.spec or component == "operator"
    assert before.metadata != after.metadata or before.spec != after.spec
    if before.spec == after.spec:
        assert _hash(before) != _hash(after)


def test_pods_are_left_alone_when_somebody_elses_settings_change() -> None:
    before = render("staging", OWN)
    after = render("staging", merged(OWN, {"api": {"logLevel": "DEBUG"}, "sweep": {"schedule": "5 4 * * *"}}))
    for component in ("bridge", "operator"):
        assert before.pod(component) == after.pod(component)


def test_images_are_named_by_registry_tag_and_digest() -> None:
    digest = "sha256:" + "0f" * 32
    values = merged(
        OWN,
        {
            "image": {"registry": "r.example.com/x/", "tag": "2"},
            "images": {"api": {"digest": digest}, "operator": {"tag": "3"}},
        },
    )
    release = render("staging", values)
    assert {each["image"] for each in release.pod("api").containers} == {f"r.example.com/x/rekindle-api@{digest}"}
    assert release.pod("operator").containers[0]["image"] == "r.example.com/x/rekindle-operator:3"
    assert release.named("Engine", "classical")["spec"]["image"] == "r.example.com/x/rekindle-worker:2"


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.endswith("everything on")])
def test_pull_secrets_reach_every_pod_and_engine(name: str) -> None:
    release = variant(name)
    for pod in release.pods():
        assert pod.spec["imagePullSecrets"] == [{"name": "registry-login"}], pod.component
    assert release.named("Engine", "classical")["spec"]["imagePullSecrets"] == [{"name": "registry-login"}]


def test_what_is_said_of_placement_reaches_the_pods() -> None:
    release = variant("staging, everything on")
    api = release.pod("api")
    assert api.spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert api.spec["tolerations"] == [{"key": "web", "operator": "Exists"}]
    assert api.spec["affinity"] == EVERYTHING["api"]["affinity"]
    assert api.spec["priorityClassName"] == "web"
    assert api.metadata["annotations"]["example.com/scrape"] == "yes"
    account = release.named("ServiceAccount", "-api")
    assert account["metadata"]["annotations"] == EVERYTHING["api"]["serviceAccount"]["annotations"]
