"""The network policies of the chart: who may talk to whom, for every values file."""

import ipaddress
from collections.abc import Iterator

import pytest
from tests.charts.rendered import EVERYTHING, OWN, VARIANTS, Json, Release, merged, render, selects, variant

from rekindle_crds import Label
from rekindle_crds.labels import MANAGED_BY_VALUE

METADATA = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "fd00:ec2::254", "fd00:ec2::23")
"""Where clouds give whoever asks the credentials of the node, or of the pod."""
CLUSTER = ("10.0.0.1", "10.96.0.1", "172.20.0.1", "192.168.0.1", "198.19.0.1", "fd12:3456::1", "fe80::1")
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
                asked in ipaddress.ip_network(block["cidr"])  # an address of the other family is in none
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
        assert not list(_outside(policies, address)), address


def test_ipv6_is_open_when_asked_for_and_the_cluster_is_not() -> None:
    egress = {"workerEgress": {"cidrs": ["0.0.0.0/0", "::/0"]}}
    policies = _policies(render("staging", merged(OWN, {"networkPolicies": egress})), PROCESSING)
    assert {443} in list(_outside(policies, "2a05:d07a:a000::1"))
    assert {443} in list(_outside(policies, S3))
    for address in (*METADATA, *CLUSTER):
        assert not list(_outside(policies, address)), address


@pytest.mark.parametrize("name", REAL)
def test_names_are_asked_of_the_cluster_only(name: str) -> None:
    release = variant(name)
    for labels in (PROCESSING, *(dict(pod.labels) for pod in release.pods() if pod.owner["kind"] != "Pod")):
        rules = [rule for each in _policies(release, labels) for rule in each["spec"]["egress"]]
        (names,) = (rule for rule in rules if {"port": 53, "protocol": "UDP"} in rule["ports"])
        assert names["to"] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
            {"ipBlock": {"cidr": "169.254.20.10/32"}},
        ]


def test_the_operator_reaches_the_api_server_where_it_is_said_to_be_and_nothing_else() -> None:
    where = {"apiServer": {"cidrs": ["203.0.113.7/32"], "ports": [16443]}}
    release = render("staging", merged(OWN, {"networkPolicies": where}))
    policies = _policies(release, dict(release.pod("operator").labels))
    assert list(_outside(policies, "203.0.113.7")) == [{16443}]
    assert not list(_outside(policies, "203.0.113.8"))


def test_ports_for_the_programs_are_not_open_to_processing_pods() -> None:
    release = render("staging", merged(OWN, {"networkPolicies": {"programPorts": [8443]}}))
    assert {443, 8443} in list(_outside(_policies(release, dict(release.pod("api").labels)), S3))
    assert {443, 8443} not in list(_outside(_policies(release, PROCESSING), S3))


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
