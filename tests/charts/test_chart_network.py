"""The network policies of the chart: who may talk to whom, for every values file."""

import ipaddress
from collections.abc import Iterator

import pytest
from tests.charts.rendered import EVERYTHING, OWN, VARIANTS, Json, Release, merged, render, selects, variant

from rekindle_crds import Label
from rekindle_crds.labels import MANAGED_BY_VALUE

METADATA = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200")
"""Where clouds give whoever asks the credentials of the node, or of the pod."""
CLUSTER = ("10.0.0.1", "10.96.0.1", "172.20.0.1", "192.168.0.1")
S3 = "3.5.140.1"
PROCESSING = {
    Label.MANAGED_BY.value: MANAGED_BY_VALUE,
    Label.JOB_KIND.value: "RestoreJob",
    Label.JOB_UID.value: "0f0f",
    "batch.kubernetes.io/job-name": "portrait-r0f0f0f0f-1",
}
"""Labels of a processing pod."""
REAL = [name for name in VARIANTS if not name.startswith("dev")]


def _policies(release: Release, labels: dict[str, str]) -> list[Json]:
    return [each for each in release.of("NetworkPolicy") if selects(each, labels)]


def _outside(policies: list[Json], address: str) -> Iterator[set[int] | None]:
    """The ports on which an address of the outside may be reached; None for every port."""
    asked = ipaddress.ip_address(address)
    for policy in policies:
        for rule in policy["spec"].get("egress", []):
            blocks = [each["ipBlock"] for each in rule.get("to", []) if "ipBlock" in each]
            if not rule.get("to") or any(
                asked in ipaddress.ip_network(block["cidr"])
                and not any(asked in ipaddress.ip_network(each) for each in block.get("except", []))
                for block in blocks
            ):
                yield {port["port"] for port in rule["ports"]} if "ports" in rule else None


@pytest.mark.parametrize("name", REAL)
def test_processing_pods_reach_s3_and_names_and_nothing_else(name: str) -> None:
    policies = _policies(variant(name), PROCESSING)
    assert policies
    assert {"Egress", "Ingress"} <= {kind for each in policies for kind in each["spec"]["policyTypes"]}
    assert not any(each["spec"].get("ingress") for each in policies)
    assert {443} in list(_outside(policies, S3))
    for address in (*METADATA, *CLUSTER):
        for ports in _outside(policies, address):
            assert ports == {53}, address


def test_more_ports_are_open_to_another_s3() -> None:
    values = merged(OWN, {"networkPolicies": {"workerEgress": {"cidrs": ["198.51.100.0/24"], "ports": [9000]}}})
    policies = _policies(render("staging", values), PROCESSING)
    assert {443, 9000} in list(_outside(policies, "198.51.100.7"))
    assert {443, 9000} not in list(_outside(policies, S3))
    release = render("staging", values)
    for component in ("api", "bridge", "sweep"):
        assert {443, 9000} in list(_outside(_policies(release, dict(release.pod(component).labels)), "198.51.100.7"))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_programs_are_not_mistaken_for_processing_pods(name: str) -> None:
    release = variant(name)
    worker = {each["metadata"]["name"] for each in _policies(release, PROCESSING)}
    for pod in release.pods():
        assert not worker & {each["metadata"]["name"] for each in _policies(release, dict(pod.labels))}


def test_only_named_namespaces_reach_the_web_server() -> None:
    release = render("prod", merged(OWN, EVERYTHING))
    rules = [rule for each in _policies(release, dict(release.pod("api").labels)) for rule in each["spec"]["ingress"]]
    sources = [source["namespaceSelector"]["matchLabels"] for rule in rules for source in rule["from"]]
    assert {"kubernetes.io/metadata.name": "ingress-nginx"} in sources
    assert all("from" in rule and rule["from"] for rule in rules)


def test_nothing_is_rendered_when_they_are_off() -> None:
    assert not render("prod", merged(OWN, {"networkPolicies": {"enabled": False}})).of("NetworkPolicy")
