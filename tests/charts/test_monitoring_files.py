"""The dashboard and the alert rules: they are well formed, and what they name is what a running operator exposes."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric

from rekindle_api.bridge.metrics import Metrics as BridgeMetrics
from rekindle_crds import Phase, Reason
from rekindle_operator.core.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "charts/rekindle/files"
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text("utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((FILES / "alerts.yaml").read_text("utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
PAGE = (ROOT / "docs/operating.md").read_text("utf-8")

OTHERS = {"up": {"job", "instance", "namespace"}, "kube_job_status_failed": {"job_name", "namespace"}}
"""Metrics that Prometheus and kube-state-metrics make, with their labels."""


def _of_the_bridge() -> dict[str, set[str]]:
    """The metrics of a bridge in which everything has happened once, with their labels."""
    metrics = BridgeMetrics()
    for metric, labels in (
        (metrics.failures, 1),
        (metrics.transitions, 2),
        (metrics.orders, 3),
        (metrics.watch_age, 1),
    ):
        metric.labels(*["once"] * labels)
    families = metrics.registry.collect()
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


BRIDGE = _of_the_bridge()
TARGET = {"job", "instance", "namespace", "pod"}
"""Labels that Prometheus gives to whatever it scrapes."""
VALUES: dict[str, set[str]] = {
    "phase": {phase.value for phase in Phase},
    "reason": {reason.value for reason in Reason},
    "kind": set(KINDS) | {"$kind"},
}


def targets() -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend of every query of the dashboard."""
    for panel in PANELS:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"], target["legendFormat"]


def parsed(expression: str) -> promql_parser.Expr:
    return promql_parser.parse(expression.replace("$__rate_interval", "5m"))


EXPRESSIONS = [expression for _, expression, _ in targets()] + [rule["expr"] for rule in RULES]


def nodes(expression: promql_parser.Expr) -> list[promql_parser.Expr]:
    """All nodes of an expression, the vectors in ranges included."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(expression, found.append)
    return found + [node.vector_selector for node in found if isinstance(node, promql_parser.MatrixSelector)]


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    return [node for node in nodes(parsed(expression)) if isinstance(node, promql_parser.VectorSelector)]


def grouped(expression: str) -> set[str]:
    """The labels by which an expression aggregates or matches."""
    found: set[str] = set()
    for node in nodes(parsed(expression)):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr):
            matching = None if node.modifier is None else node.modifier.matching
            found |= set() if matching is None else set(matching.labels)
    return found


def left(expression: str) -> set[str]:
    """The labels that the result has at least: those of its outermost aggregations, or of its first metric."""
    node = parsed(expression)
    while True:
        if isinstance(node, promql_parser.AggregateExpr):
            return set(node.modifier.labels) if node.modifier is not None else set()
        if isinstance(node, promql_parser.BinaryExpr):
            node = node.lhs if not isinstance(node.lhs, promql_parser.NumberLiteral) else node.rhs
        elif isinstance(node, promql_parser.ParenExpr):
            node = node.expr
        elif isinstance(node, promql_parser.Call):
            node = node.args[-1]
        else:
            return TARGET


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_parses_and_names_reasons_phases_and_kinds_that_exist(expression):
    assert selectors(expression)
    for selector in selectors(expression):
        for matcher in selector.matchers.matchers:
            if matcher.name in VALUES:
                assert set(matcher.value.split("|")) <= VALUES[matcher.name]


@pytest.mark.parametrize(("title", "expression", "legend"), list(targets()))
def test_a_legend_names_only_labels_that_are_left(title, expression, legend):
    assert set(re.findall(r"{{\s*(\w+)\s*}}", legend)) <= left(expression), title


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_what_and_what_to_do(rule):
    assert rule["labels"] in ({"severity": severity} for severity in ("critical", "warning", "info"))
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    words = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", words)) <= left(rule["expr"])
    assert (
        words.count("{{") == words.count("}}") == len(re.findall(r"{{ \$(?:labels\.\w+|value(?: \| \w+)?) }}", words))
    )


def test_no_alert_group_or_panel_has_the_name_or_number_of_another():
    for names in (
        [rule["alert"] for rule in RULES],
        [group["name"] for group in ALERTS["groups"]],
        [panel["id"] for panel in PANELS],
        [panel["title"] for panel in PANELS],
    ):
        assert max(Counter(names).values()) == 1


def test_every_alert_and_no_other_stands_in_the_page_for_admins():
    table = dict(re.findall(r"^\| (Rekindle\w+) \| (\w+) \|", PAGE, re.MULTILINE))
    assert table == {rule["alert"]: rule["labels"]["severity"] for rule in RULES}


def test_every_log_message_of_the_page_is_one_that_the_operator_writes():
    [table] = re.findall(r"^\| Message \| Means \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    messages = [message for row in table.splitlines() for message in re.findall(r"`([\w ]+ [\w ]+)`", row)]
    source = "".join(path.read_text("utf-8") for path in (ROOT / "operator/rekindle_operator").glob("*.py"))
    assert len(messages) > 10
    assert [message for message in messages if f'("{message}"' not in source] == []


def test_panels_of_the_dashboard_lie_side_by_side_and_never_on_each_other():
    covered = Counter(
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(covered.values()) == 1
    assert max(x for x, _ in covered) < 24


def test_the_dashboard_is_one_that_grafana_11_takes():
    assert DASHBOARD["schemaVersion"] >= 39
    assert "id" not in DASHBOARD
    sources = {json.dumps(panel["datasource"]) for panel in PANELS if panel["type"] != "row"}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "namespace", "kind"]


@pytest.fixture
def labels(exposed: dict[str, Metric]) -> dict[str, set[str]]:
    """Labels of every exposed sample, by its name."""
    return {sample.name: set(sample.labels) for family in exposed.values() for sample in family.samples}


@pytest.mark.stack
@pytest.mark.usefixtures("process_node")
def test_everything_that_dashboard_alerts_and_page_name_is_exposed_by_a_running_operator(labels, exposed):
    known = labels | OTHERS | BRIDGE
    for expression in EXPRESSIONS:
        named = {selector.name for selector in selectors(expression)}
        assert named <= set(known), expression
        for selector in selectors(expression):
            matched = {matcher.name for matcher in selector.matchers.matchers}
            assert matched <= known[selector.name] | TARGET, expression
        assert grouped(expression) <= TARGET.union(*(known[name] for name in named)), expression
    for variable in DASHBOARD["templating"]["list"][1:]:
        [(name, label)] = re.findall(r"^label_values\((\w+), (\w+)\)$", variable["definition"])
        assert label in known[name] | TARGET
    assert documented() == {
        family.name: entry(family) for family in exposed.values() if family.name.startswith("rekindle_")
    }


def entry(family: Metric) -> tuple[str, set[str], str]:
    own = {label for sample in family.samples for label in sample.labels} - {"le"}
    return family.type, own, family.documentation


def documented() -> dict[str, tuple[str, set[str], str]]:
    """Type, labels and meaning of each metric by the table of the page."""
    rows = re.findall(r"^\| `(rekindle_\w+)` \| (\w+) \| ([\w, -]+) \| (.+) \|$", PAGE, re.MULTILINE)
    return {
        name.removesuffix("_total"): (kind, set() if labels == "-" else set(labels.split(", ")), meaning)
        for name, kind, labels, meaning in rows
    }


@pytest.mark.stack
@pytest.mark.usefixtures("process_node")
def test_names_follow_the_conventions_and_no_metric_is_about_a_single_job(exposed):
    for name, family in exposed.items():
        if name.startswith("rekindle_"):
            counts = all(sample.name.endswith("_total") for sample in family.samples)
            assert counts == (family.type == "counter")
            assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)$", name)
            own = {label for sample in family.samples for label in sample.labels}
            assert not own & {"name", "uid", "job", "pod", "namespace", "instance"}
