"""The schema of the chart's values: what is good passes, and a typo is refused with its name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from pydantic import BaseModel
from tests.charts.rendered import CHART, EVERYTHING, FILES, OWN, merged

from rekindle_api.settings import Costs, Plan, Tier
from rekindle_crds.engine import EngineSpec
from rekindle_crds.schema import structural_schema
from rekindle_dev import helm

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

GOOD = (
    "api.resources.limits.cpu=2",
    "api.resources.limits.cpu=0.5",
    "api.resources.limits.memory=1.5Gi",
    "api.podDisruptionBudget.maxUnavailable=25%",
    "api.env.CORS_MAX_AGE=5",
    "bridge.replicas=0",
    "engines.classical=null",
    "engines.studio={operations: [Restore], weights: {persistentVolumeClaim: {name: studio-weights}}}",
    "image.tag=2026-11-24_nightly",
    "images.api.digest=sha256:" + "0f" * 32,
    "ingress.annotations={nginx.ingress.kubernetes.io/proxy-read-timeout: '3600'}",
    "ingress.host='*.example.com'",
    "networkPolicies.workerEgress.cidrs=['2a05:d018::/36', 3.5.140.0/22]",
    "commonLabels={cost-centre: photos, example.com/team: memories}",
    "networkPolicies.dnsTo=[{ipBlock: {cidr: 10.96.0.10/32}}]",
    "plans.free.retention_days=null",
    "stripe.prices.remember=[price_1, price_2]",
    "sweep.schedule='@hourly'",
    "sweep.schedule='*/15 2-4 * * MON'",
    "topUps.huge=500",
)

TYPOS = {
    "enviroment=staging": "enviroment",
    "environment=prod": "/environment",
    "existingSecret=[a, b]": "/existingSecret",
    "existingSecret=Rekindle_Secrets": "/existingSecret",
    "image.tag=1.10": "/image/tag",
    "image.registry=https://registry.example.com": "/image/registry",
    "image.pullPolicy=Sometimes": "/image/pullPolicy",
    "images.web={repository: rekindle-api}": "web",
    "images.api.digest=0f0f": "/images/api/digest",
    "commonLabels.team=7": "/commonLabels/team",
    "commonLabels={'a b': c}": "a b",
    "commonLabels={app.kubernetes.io/component: web}": "app.kubernetes.io/component",
    "commonLabels={rekindle.dev/job-kind: RestoreJob}": "rekindle.dev/job-kind",
    "api.podAnnotations={checksum/config: x}": "checksum/config",
    "api.podDisruptionBudget.maxUnavailable=0": "/api/podDisruptionBudget/maxUnavailable",
    "networkPolicies.workerEgress.cidrs=[]": "/networkPolicies/workerEgress/cidrs",
    "networkPolicies.dnsTo=[]": "/networkPolicies/dnsTo",
    "networkPolicies.apiServer.cidrs=[]": "/networkPolicies/apiServer/cidrs",
    "fullnameOverride=Photos": "/fullnameOverride",
    "database.poolSize=ten": "/database/poolSize",
    "database.rootCert=rds-ca": "/database/rootCert",
    "database.url=postgresql://x": "url",
    "s3.bucket=My_Photos": "/s3/bucket",
    "s3.endpointUrl=minio:9000": "/s3/endpointUrl",
    "s3.accessKeyId=AKIA": "accessKeyId",
    "supabase.url=abc.supabase.co": "/supabase/url",
    "stripe.prices.free=price_1": "free",
    "stripe.prices.remember=prod_1": "/stripe/prices/remember",
    "stripe.secretKey=sk_live_1": "secretKey",
    "plans.gold.credits=5": "gold",
    "plans.free.credit=5": "credit",
    "costs.animation=5": "animation",
    "topUps.small=0": "/topUps/small",
    "api.replica=3": "replica",
    "api.replicas=-1": "/api/replicas",
    "api.logLevel=info": "/api/logLevel",
    "api.corsOrigins=https://photos.example.com": "/api/corsOrigins",
    "api.corsOrigins=['*']": "/api/corsOrigins/0",
    "api.env.DATABASE_URL=postgresql://x": "DATABASE_URL",
    "api.env.rate-upload=5/minute": "rate-upload",
    "api.resources.limits.memory=2GB": "/api/resources/limits/memory",
    "api.resources.limit.memory=2Gi": "limit",
    "api.service.port=99999": "/api/service/port",
    "api.service.type=Ingress": "/api/service/type",
    "api.spoolSize=4 GiB": "/api/spoolSize",
    "api.terminationGracePeriodSeconds=1m": "/api/terminationGracePeriodSeconds",
    "api.autoscaling.minReplicas=0": "/api/autoscaling/minReplicas",
    "ingress.host=https://api.example.com": "/ingress/host",
    "ingress.annotations={timeout: 3600}": "/ingress/annotations/timeout",
    "bridge.env=[{name: A, value: b}]": "/bridge/env",
    "sweep.schedule=hourly": "/sweep/schedule",
    "operator.maxRunning=0": "/operator/maxRunning",
    "operator.tolerations=[{effect: NoRun}]": "/operator/tolerations/0/effect",
    "engines.Studio={operations: [Restore]}": "Studio",
    "engines.studio={operations: [Colourize]}": "/engines/studio/operations/0",
    "engines.studio.imge=studio": "imge",
    "engines.studio={env: [{name: REKINDLE_TASK, value: x}]}": "/engines/studio/env/0/name",
    "worker.serviceAccountName=worker": "serviceAccountName",
    "rbac.aggregate='yes'": "/rbac/aggregate",
    "networkPolicies.workerEgress.cidrs=[0.0.0.0]": "/networkPolicies/workerEgress/cidrs/0",
    "networkPolicies.workerEgress.ports=[https]": "/networkPolicies/workerEgress/ports/0",
    "networkPolicies.apiFrom=[ingress-nginx]": "/networkPolicies/apiFrom/0",
    "monitoring.serviceMonitor.interval=30": "/monitoring/serviceMonitor/interval",
    "tryout=true": "/tryout",
}


def _values(setting: str) -> dict[str, Any]:
    """`a.b=c` as nested values; c is YAML."""
    path, _, value = setting.partition("=")
    result: Any = yaml.safe_load(value)
    for key in reversed(path.split(".")):
        result = {key: result}
    return dict(result)


def _names(schema: dict[str, Any]) -> dict[str, Any]:
    """The names of the properties of a schema, as a tree: lists stand for what they hold."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if "items" in schema:
        return _names(schema["items"])
    return {name: _names(inner) for name, inner in schema.get("properties", {}).items()}


def _accepts(values: dict[str, Any]) -> None:
    jsonschema_rs.validator_for(SCHEMA).validate(values)


@pytest.mark.parametrize("file", [file for file in FILES.values() if file])
def test_the_values_files_of_the_chart_are_good(file: str) -> None:
    _accepts(merged(DEFAULTS, yaml.safe_load((CHART / file).read_text("utf-8"))))


def test_every_switch_may_be_turned() -> None:
    _accepts(merged(DEFAULTS, OWN, EVERYTHING))


@pytest.mark.parametrize("setting", GOOD)
def test_what_is_good_passes(setting: str) -> None:
    _accepts(merged(DEFAULTS, _values(setting)))


@pytest.mark.parametrize("setting", TYPOS)
def test_a_typo_is_refused_with_its_name(setting: str) -> None:
    values = json.dumps(merged(OWN, _values(setting)))
    with pytest.raises(helm.HelmError) as refusal:
        helm.run("template", "rekindle", CHART, "--values=-", stdin=values)
    said = str(refusal.value)
    assert "values don't meet the specifications of the schema" in said
    assert TYPOS[setting] in said


def _disagreements(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Where the names of the schema are not those of the values; a map without names may hold anything."""
    named = _names(schema)
    if not named or not values:
        return
    yield from (f"{path}{name}" for name in named.keys() ^ values.keys() - {"global"})
    for name in (name for name, inner in values.items() if isinstance(inner, dict)):
        inner = schema["properties"][name]
        found = SCHEMA["definitions"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
        yield from _disagreements(values[name], found, f"{path}{name}.")


def test_the_schema_knows_every_value_and_no_other() -> None:
    # What a chart above this one gives it.
    assert set(_disagreements(DEFAULTS, SCHEMA)) == {"enabled", "global"}


def test_every_map_of_the_schema_says_what_it_may_hold() -> None:
    def loose(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [found for each in schema for found in loose(each, path)]
        if not isinstance(schema, dict):
            return []
        here = [path] if "properties" in schema and schema.get("additionalProperties") is not False else []
        return here + [found for key, inner in schema.items() for found in loose(inner, f"{path}/{key}")]

    assert loose(SCHEMA, "") == []


def test_an_engine_may_have_the_fields_of_the_resource() -> None:
    assert _names(SCHEMA["definitions"]["engine"]) == _names(structural_schema(EngineSpec))


@pytest.mark.parametrize(
    ("of", "model"),
    [(SCHEMA["definitions"]["plan"], Plan), (SCHEMA["properties"]["costs"], Costs)],
    ids=["plan", "costs"],
)
def test_plans_and_costs_may_have_the_fields_that_the_api_reads(of: dict[str, Any], model: type[BaseModel]) -> None:
    assert set(of["properties"]) == set(model.model_fields)


def test_tiers_are_those_of_the_api() -> None:
    assert SCHEMA["properties"]["plans"]["propertyNames"]["enum"] == [*Tier]
    prices = SCHEMA["properties"]["stripe"]["properties"]["prices"]
    assert prices["propertyNames"]["enum"] == [tier for tier in Tier if tier is not Tier.FREE]


def test_a_secret_is_never_taken_for_a_plain_variable() -> None:
    text = Path(CHART / "values.yaml").read_text("utf-8")
    refused = SCHEMA["definitions"]["environment"]["propertyNames"]["not"]["enum"]
    named = {name for name in refused if name in text}
    assert named >= {
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "TICKET_SECRET",
        "STRIPE_SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
    }
