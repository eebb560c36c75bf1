"""What the programs of a release are told: each gets its own secrets and settings, and takes them as they are."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.charts.rendered import CHART, NAMESPACE, OWN, VARIANTS, Release, merged, render, variant

from rekindle_api.bridge.settings import BridgeSettings, SweepSettings
from rekindle_api.settings import (
    AccountSettings,
    AuthSettings,
    ClusterSettings,
    DatabaseSettings,
    LimitSettings,
    LiveSettings,
    LogSettings,
    MigrationSettings,
    PlanSettings,
    RateSettings,
    ServerSettings,
    StorageSettings,
    StripeSettings,
    SupabaseSettings,
    read,
)
from rekindle_api.settings.environment import DomainSettings
from rekindle_crds import Engine
from rekindle_dev import helm
from rekindle_operator.settings import Settings as OperatorSettings

SECRETS: Mapping[str, str] = {
    "DATABASE_URL": "postgresql://rekindle_service:a-long-password-1@db.example.com/rekindle",
    "DATABASE_OWNER_URL": "postgresql://rekindle_owner:a-long-password-2@db.example.com/rekindle",
    "TICKET_SECRET": "t" * 40,
    "SUPABASE_SERVICE_KEY": "sb_secret_" + "k" * 30,
    "SUPABASE_WEBHOOK_SECRETS": "w" * 40,
    "SUPABASE_JWT_SECRET": "j" * 40,
    "STRIPE_SECRET_KEY": "sk_live_" + "s" * 30,
    "STRIPE_WEBHOOK_SECRETS": "whsec_" + "h" * 30,
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a" * 40,
}
STRIPE = {"STRIPE_SECRET_KEY"}
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
LEAST: Mapping[str, set[str]] = {
    "api": {"DATABASE_URL", "TICKET_SECRET", "SUPABASE_SERVICE_KEY", "SUPABASE_WEBHOOK_SECRETS"},
    "migrate": {"DATABASE_OWNER_URL"},
    "bridge": {"DATABASE_URL"},
    "sweep": {"DATABASE_URL", "SUPABASE_SERVICE_KEY"},
    "operator": set(),
}
MOST: Mapping[str, set[str]] = {
    "api": LEAST["api"] | STRIPE | AWS | {"SUPABASE_JWT_SECRET", "STRIPE_WEBHOOK_SECRETS"},
    "migrate": LEAST["migrate"],
    "bridge": LEAST["bridge"] | STRIPE | AWS,
    "sweep": LEAST["sweep"] | STRIPE | AWS,
    "operator": set(),
}
READ: Mapping[str, tuple[type[DomainSettings], ...]] = {
    "migrate": (DatabaseSettings, MigrationSettings),
    "api": (
        DatabaseSettings, StorageSettings, AuthSettings, ServerSettings, LimitSettings, LiveSettings, PlanSettings,
        RateSettings, SupabaseSettings, AccountSettings, StripeSettings, LogSettings,
    ),
    "bridge": (
        BridgeSettings, DatabaseSettings, StorageSettings, ClusterSettings, StripeSettings, PlanSettings, LogSettings,
    ),
    "sweep": (
        SweepSettings, DatabaseSettings, StorageSettings, ClusterSettings, StripeSettings, PlanSettings, AuthSettings,
        SupabaseSettings, AccountSettings, LogSettings,
    ),
}  # fmt: skip
"""The settings that each command reads."""
REAL = [name for name in VARIANTS if not name.startswith("dev")]


def _containers(release: Release) -> dict[str, dict[str, Any]]:
    """The containers of Rekindle's own programs, by what they run."""
    api = release.pod("api").containers
    return {
        "migrate": next(each for each in api if "migrate" in each["args"]),
        "api": next(each for each in api if "serve" in each["args"]),
        **{name: release.pod(name).spec["containers"][0] for name in ("bridge", "sweep", "operator")},
    }


def _keys(container: Mapping[str, Any]) -> set[str]:
    """The keys of the Secret that a container gets."""
    sources = [variable.get("valueFrom", {}).get("secretKeyRef") for variable in container.get("env", [])]
    return {source["key"] for source in sources if source}


def _started(
    release: Release,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    secrets: Mapping[str, str] = SECRETS,
) -> dict[str, str]:
    """Put the variables of a program into our environment, with the files that they name."""
    found = release.environment(_containers(release)[program], secrets)
    if found.get("DATABASE_SSL_ROOT_CERT", "system") != "system":
        (tmp_path / "ca.pem").touch()
        found["DATABASE_SSL_ROOT_CERT"] = str(tmp_path / "ca.pem")
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize("name", REAL)
def test_each_container_gets_the_secrets_that_it_needs_and_no_others(name: str) -> None:
    expected = MOST if name.endswith("everything on") else LEAST
    assert {program: _keys(each) for program, each in _containers(variant(name)).items()} == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_secret_is_in_no_config_map(name: str) -> None:
    for each in variant(name).of("ConfigMap"):
        assert not set(each["data"]) & SECRETS.keys(), each["metadata"]["name"]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("program", READ)
def test_the_programs_take_their_settings(
    program: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _started(variant(name), program, monkeypatch, tmp_path)
    for kind in READ[program]:
        read(kind)


@pytest.mark.parametrize("program", READ)
def test_production_is_strict_in_every_program(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _started(variant("prod"), program, monkeypatch, tmp_path)
    assert all(read(kind).production for kind in READ[program])


def test_the_migration_signs_in_as_the_owner_and_grants_to_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = _started(variant("prod"), "migrate", monkeypatch, tmp_path)
    assert found["DATABASE_URL"] == SECRETS["DATABASE_OWNER_URL"]
    assert read(MigrationSettings).database_app_role == "rekindle_service"


def test_without_a_role_of_their_own_all_sign_in_the_same() -> None:
    containers = _containers(render("staging", merged(OWN, {"database": {"appRole": ""}})))
    assert _keys(containers["migrate"]) == {"DATABASE_URL"}


def test_plans_costs_and_packs_are_what_the_values_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _started(variant("prod, everything on"), "api", monkeypatch, tmp_path)
    plans = read(PlanSettings)
    assert plans.plan("free").credits == 5
    assert plans.plan("free").storage_bytes == 5 * 1024**3
    assert plans.plan("free").watermark is True
    assert plans.costs.animate == 6
    assert plans.top_ups == {"small": 12, "large": 120}
    stripe = read(StripeSettings)
    stripe.check_packs(plans)
    assert stripe.sold == {"remember": "price_1", "cherish": "price_2", "small": "price_3"}
    assert stripe.tier_of("price_2old") == "cherish"


def test_variables_of_ones_own_arrive_as_they_were_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _started(variant("prod, everything on"), "api", monkeypatch, tmp_path)
    assert str(read(RateSettings).rate_upload) == "100/minute"
    assert read(LimitSettings).max_upload_bytes == 20971520
    assert read(ServerSettings).shows_docs is False


@pytest.mark.parametrize("name", VARIANTS)
def test_jobs_are_made_where_the_operator_looks_for_them(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = variant(name)
    containers = _containers(release)
    secrets = _tryout_secrets(release) or SECRETS
    for program in ("bridge", "sweep"):
        assert release.environment(containers[program], secrets)["REKINDLE_NAMESPACE"] == NAMESPACE
    _started(release, "operator", monkeypatch, tmp_path, secrets)
    settings = OperatorSettings()
    assert settings.namespaces == (NAMESPACE,)
    assert settings.identity == "the pod's metadata.uid"
    assert settings.allowed_buckets == (release.environment(containers["bridge"], secrets)["S3_BUCKET"],)


@pytest.mark.parametrize("name", VARIANTS)
def test_engines_are_what_the_operator_takes(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release = variant(name)
    _started(release, "operator", monkeypatch, tmp_path, _tryout_secrets(release) or SECRETS)
    allowed = OperatorSettings().allowed_service_accounts
    engines = [Engine.model_validate(each) for each in release.of("Engine")]
    assert engines
    assert sum(engine.spec.default for engine in engines) == 1
    for engine in engines:
        assert engine.spec.service_account_name in allowed
    if name.endswith("everything on"):
        assert set(allowed) == {"rekindle-worker", "studio"}


@pytest.mark.parametrize("name", [name for name in VARIANTS if name.endswith("everything on")])
def test_engines_get_the_keys_of_s3_by_reference(name: str) -> None:
    engine = Engine.model_validate(variant(name).named("Engine", "classical"))
    keys = {each.name: each.value_from.secret_key_ref.key for each in engine.spec.env if each.value_from}
    assert keys == {name: name for name in AWS}
    plain = {each.name: each.value for each in engine.spec.env if each.value is not None}
    assert plain["AWS_ENDPOINT_URL_S3"] == "https://s3.example.com"


def test_with_a_limit_the_operator_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _started(variant("prod, everything on"), "operator", monkeypatch, tmp_path)
    assert OperatorSettings().max_running == 12
    assert OperatorSettings().workers == 8


@pytest.mark.parametrize("program", READ)
def test_the_programs_of_a_try_out_take_their_settings(
    program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = variant("dev")
    _started(release, program, monkeypatch, tmp_path, _tryout_secrets(release))
    for kind in READ[program]:
        read(kind)


def test_the_secrets_of_a_try_out_are_made_anew_for_each() -> None:
    """They are kept over upgrades by looking them up in the cluster; without one, nobody can guess them."""
    texts = [helm.run("template", "rekindle", CHART, f"--values={CHART / 'values-dev.yaml'}") for _ in range(2)]
    assert texts[0] != texts[1]


def _tryout_secrets(release: Release) -> dict[str, str]:
    """What the Secret that the chart makes for a try-out holds."""
    found: dict[str, str] = {}
    for each in release.of("Secret"):
        found |= each.get("stringData", {})
        found |= {key: base64.b64decode(value).decode() for key, value in each.get("data", {}).items()}
    return found


def test_json_in_settings_has_no_exponents() -> None:
    for each in variant("prod, everything on").of("ConfigMap"):
        for key in ("PLANS", "COSTS", "TOP_UPS"):
            if key in each["data"]:
                json.loads(each["data"][key], parse_float=pytest.fail)
