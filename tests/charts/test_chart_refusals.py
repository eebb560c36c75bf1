"""What the chart refuses to render, and what it says then."""

from typing import Any

import pytest
from tests.charts.rendered import OWN, merged, render

from rekindle_dev import helm

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("staging", {"existingSecret": ""}, "Set existingSecret"),
    ("staging", {"s3": {"bucket": ""}}, "Set s3.bucket"),
    ("staging", {"supabase": {"url": ""}}, "Set supabase.url"),
    ("staging", {"tryout": {"enabled": True}}, "tryout.enabled"),
    ("prod", {"existingSecret": ""}, "Set existingSecret"),
    ("prod", {"s3": {"bucket": ""}}, "Set s3.bucket"),
    ("prod", {"supabase": {"url": ""}}, "Set supabase.url"),
    ("prod", {"tryout": {"enabled": True}}, "tryout.enabled"),
    ("prod", {"database": {"rootCert": {"configMap": "", "system": False}}}, "database.rootCert"),
    ("prod", {"database": {"appRole": ""}}, "database.appRole"),
    ("prod", {"api": {"corsOrigins": []}}, "api.corsOrigins"),
    ("prod", {"api": {"corsOrigins": ["http://photos.example.com"]}}, "api.corsOrigins"),
    ("prod", {"supabase": {"url": "http://abcdefgh.supabase.co"}}, "set supabase.url"),
    ("prod", {"s3": {"publicEndpointUrl": "http://s3.example.com"}}, "set s3.publicEndpointUrl"),
    ("prod", {"stripe": {"enabled": True}}, "Set stripe.prices"),
    ("staging", {"stripe": {"enabled": True, "prices": {"remember": "price_1"}}}, "Set stripe.successUrl"),
    ("staging", {"ingress": {"enabled": True, "host": ""}}, "Set ingress.host"),
    ("staging", {"database": {"iamAuth": True}, "s3": {"region": ""}}, "s3.region"),
    ("staging", {"database": {"iamAuth": True, "rootCert": {"configMap": ""}}}, "database.rootCert"),
    ("prod", {"api": {"autoscaling": {"maxReplicas": 1}}}, "api.autoscaling.maxReplicas"),
    ("prod", {"api": {"terminationGracePeriodSeconds": 30}}, "api.terminationGracePeriodSeconds"),
    ("defaults", {"environment": "development", "existingSecret": ""}, "existingSecret"),
]


@pytest.mark.parametrize(("file", "change", "said"), REFUSED, ids=[f"{file}: {said}" for file, _, said in REFUSED])
def test_what_cannot_work_is_refused_with_what_to_set(file: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said.replace(".", r"\.")):
        render(file, merged(OWN, change))


@pytest.mark.parametrize("file", ["defaults", "staging", "prod"])
def test_a_real_environment_asks_for_everything_that_it_has_not_been_told(file: str) -> None:
    with pytest.raises(helm.HelmError, match="Set "):
        render(file)


@pytest.mark.parametrize("file", ["defaults", "staging", "prod"])
def test_what_an_environment_must_be_told_is_enough(file: str) -> None:
    assert render(file, OWN).of("Deployment")


def test_a_try_out_must_be_told_nothing() -> None:
    assert render("dev").of("Deployment")


def test_a_database_that_the_image_trusts_is_enough_for_production() -> None:
    trusted = {"database": {"rootCert": {"configMap": "", "system": True}}}
    assert render("prod", merged(OWN, trusted)).of("Deployment")
