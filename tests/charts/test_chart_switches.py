"""What the chart renders when it is asked for, and only then."""

import pytest
import yaml
from tests.charts.rendered import CHART, NAMESPACE, OWN, merged, render, variant


def test_autoscaling_takes_over_the_number_of_web_servers() -> None:
    fixed, scaled = render("staging", merged(OWN, {"api": {"replicas": 3}})), variant("staging, everything on")
    assert fixed.named("Deployment", "-api")["spec"]["replicas"] == 3
    assert "replicas" not in scaled.named("Deployment", "-api")["spec"]
    (scaler,) = scaled.of("HorizontalPodAutoscaler")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 9)
    assert scaler["spec"]["scaleTargetRef"]["name"] == "rekindle-api"


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("component", ["api", "bridge", "operator"])
def test_a_disruption_budget_never_keeps_a_node_from_being_drained(component: str, replicas: int) -> None:
    values = {"api": {"autoscaling": {"enabled": False}}, **{name: {"replicas": 1} for name in ("bridge", "operator")}}
    release = render("prod", merged(OWN, values, {"api": {"replicas": 1}}, {component: {"replicas": replicas}}))
    budgets = [each["metadata"]["name"] for each in release.of("PodDisruptionBudget")]
    assert budgets == ([f"rekindle-{component}"] if replicas > 1 else [])


def test_the_ingress_leads_to_the_web_server() -> None:
    (ingress,) = variant("prod, everything on").of("Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "api.photos.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "rekindle-api"
    assert ingress["spec"]["tls"] == [{"hosts": ["api.photos.example.com"], "secretName": "api-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"


def test_nothing_for_others_is_made_unless_asked_for() -> None:
    off = {
        "ingress": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "monitoring": {part: {"enabled": False} for part in ("serviceMonitor", "prometheusRule", "dashboard")},
        "api": {"autoscaling": {"enabled": False}},
    }
    kinds = {each["kind"] for each in render("prod", merged(OWN, off)).objects}
    optional = {
        "Ingress",
        "NetworkPolicy",
        "ServiceMonitor",
        "PrometheusRule",
        "HorizontalPodAutoscaler",
        "ClusterRole",
    }
    assert not kinds & optional


def test_an_engine_that_is_null_is_not_made() -> None:
    release = render("staging", merged(OWN, {"engines": {"classical": None, "studio": {"operations": ["Restore"]}}}))
    assert [each["metadata"]["name"] for each in release.of("Engine")] == ["studio"]


def test_the_sweep_never_runs_twice_at_once_and_can_be_suspended() -> None:
    (cron,) = render("staging", merged(OWN, {"sweep": {"suspend": True, "schedule": "1 2 * * *"}})).of("CronJob")
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert cron["spec"]["suspend"] is True
    assert cron["spec"]["schedule"] == "1 2 * * *"


def test_spread_over_zones_and_nodes_is_replaced_when_set() -> None:
    usual = render("prod", OWN).pod("api").spec["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in usual} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    own = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    assert (
        render("prod", merged(OWN, {"api": {"topologySpreadConstraints": own}}))
        .pod("api")
        .spec["topologySpreadConstraints"]
        == own
    )


def test_the_alerts_are_those_of_the_file_for_the_namespace_and_the_names_of_the_release() -> None:
    values = merged(OWN, {"monitoring": {"prometheusRule": {"enabled": True}}, "fullnameOverride": "pics"})
    (rules,) = render("prod", values).of("PrometheusRule")
    file = (CHART / "files/alerts.yaml").read_text("utf-8")
    own = file.replace('namespace=~".*"', f'namespace="{NAMESPACE}"').replace(".*rekindle.*-", "pics-")
    assert rules["spec"] == yaml.safe_load(own)
    text = yaml.safe_dump(rules["spec"])
    assert 'job=~"pics-operator"' in text
    assert '=~".*"' not in text


def test_the_dashboard_arrives_as_it_is_in_the_file() -> None:
    release = variant("prod, everything on")
    (rules,) = release.of("PrometheusRule")
    dashboard = release.named("ConfigMap", "-dashboard")
    assert list(dashboard["data"].values()) == [(CHART / "files/dashboard.json").read_text("utf-8")]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert rules["metadata"]["labels"]["release"] == "prometheus"


def test_what_prometheus_is_sent_to_is_there() -> None:
    release = variant("prod, everything on")
    monitors = release.of("ServiceMonitor")
    assert {each["metadata"]["labels"]["release"] for each in monitors} == {"prometheus"}
    for monitor in monitors:
        selector = monitor["spec"]["selector"]["matchLabels"]
        (service,) = (each for each in release.of("Service") if selector.items() <= each["metadata"]["labels"].items())
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
