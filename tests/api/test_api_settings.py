"""Settings: what is read, and what production refuses."""

from pathlib import Path
from typing import Any

import pytest

from rekindle_api.cli import main
from rekindle_api.settings import (
    AuthSettings,
    DatabaseSettings,
    DomainSettings,
    InvalidSettingsError,
    LiveSettings,
    ServerSettings,
    StorageSettings,
    read,
)

GOOD_URL = "postgresql://rekindle:Hk3-long-and-random@db.example/rekindle"
TOKENS = {"database_iam_auth": True, "database_iam_region": "eu-central-1", "database_ssl_root_cert": "system"}


@pytest.mark.parametrize(
    ("kind", "values", "variable"),
    [
        (
            DatabaseSettings,
            {"database_url": "postgresql://u:postgres@h/d", "database_ssl_root_cert": "system"},
            "DATABASE_URL",
        ),
        (DatabaseSettings, {"database_url": "postgresql://u@h/d", "database_ssl_root_cert": "system"}, "DATABASE_URL"),
        (DatabaseSettings, {"database_url": GOOD_URL}, "DATABASE_SSL_ROOT_CERT"),
        (DatabaseSettings, {"database_url": f"{GOOD_URL}?sslmode=require"}, "DATABASE_SSL_ROOT_CERT"),
        (DatabaseSettings, {"database_url": f"{GOOD_URL}?sslmode=verify-full"}, "DATABASE_SSL_ROOT_CERT"),
        (
            DatabaseSettings,
            {"database_url": f"{GOOD_URL}?sslmode=require", "database_ssl_root_cert": "system"},
            "DATABASE_URL",
        ),
        (StorageSettings, {"s3_bucket": "photos", "s3_endpoint_url": "http://s3"}, "S3_ENDPOINT_URL"),
        (StorageSettings, {"s3_bucket": "photos", "s3_public_endpoint_url": "http://s3"}, "S3_PUBLIC_ENDPOINT_URL"),
        (AuthSettings, {"supabase_url": "http://project.example"}, "SUPABASE_URL"),
        (LiveSettings, {}, "TICKET_SECRET"),
        (LiveSettings, {"ticket_secret": "Hk3-too-short"}, "TICKET_SECRET"),
        (ServerSettings, {}, "CORS_ORIGINS"),
        (ServerSettings, {"cors_origins": "http://app.example"}, "CORS_ORIGINS"),
    ],
)
def test_production_refuses_what_is_weak(kind: type[DomainSettings], values: dict[str, Any], variable: str) -> None:
    with pytest.raises(InvalidSettingsError, match=variable) as refused:
        read(kind, {**values, "environment": "production"})

    assert "Hk3" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DatabaseSettings, {"database_url": GOOD_URL, "database_ssl_root_cert": "system"}),
        (DatabaseSettings, {"database_url": f"{GOOD_URL}?sslmode=verify-full&sslrootcert=system"}),
        (DatabaseSettings, {"database_url": "postgresql://rekindle@db.example/rekindle", **TOKENS}),
        (StorageSettings, {"s3_bucket": "photos"}),
        (AuthSettings, {"supabase_url": "https://project.example/"}),
        (LiveSettings, {"ticket_secret": "Hk3-long-enough-to-sign-tickets-with"}),
        (ServerSettings, {"cors_origins": "https://app.example"}),
    ],
)
def test_production_takes_what_is_strong(kind: type[DomainSettings], values: dict[str, Any]) -> None:
    assert read(kind, {**values, "environment": "production"}).production


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DatabaseSettings, {"database_url": "mysql://u@h/d"}),
        (DatabaseSettings, {"database_url": GOOD_URL, "database_ssl_root_cert": "no/such/file.pem"}),
        (DatabaseSettings, {"database_url": GOOD_URL, **TOKENS}),
        (DatabaseSettings, {"database_url": "postgresql:///d", **TOKENS}),
        (DatabaseSettings, {"database_url": "postgresql://u@h/d", **TOKENS, "database_ssl_root_cert": None}),
        (DatabaseSettings, {"database_url": "postgresql://u@h/d", **TOKENS, "database_iam_region": None}),
        (AuthSettings, {"supabase_url": "project.example"}),
        (ServerSettings, {"cors_origins": "*"}),
        (ServerSettings, {"environment": "prod"}),
    ],
)
def test_nonsense_is_refused_everywhere(kind: type[DomainSettings], values: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingsError):
        read(kind, values)


def test_the_api_is_shown_everywhere_but_in_production_unless_that_is_said() -> None:
    production = {"environment": "production", "cors_origins": "https://app.example"}

    assert read(ServerSettings, {}).shows_docs
    assert not read(ServerSettings, {"api_docs": False}).shows_docs
    assert not read(ServerSettings, production).shows_docs
    assert read(ServerSettings, {**production, "api_docs": True}).shows_docs


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_spelling_of_the_database_url_reaches_both_libraries(scheme: str) -> None:
    settings = read(DatabaseSettings, {"database_url": f"{scheme}://u:p@h:5/d?sslmode=require"})

    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p@h:5/d?sslmode=require"
    assert settings.libpq_url == "postgresql://u:p@h:5/d?sslmode=require"


def test_the_issuer_and_its_keys_follow_from_the_projects_url() -> None:
    settings = read(AuthSettings, {"supabase_url": "https://project.example/"})

    assert settings.issuer == "https://project.example/auth/v1"
    assert settings.jwks_url == "https://project.example/auth/v1/.well-known/jwks.json"


def test_a_command_without_its_settings_names_them_and_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert main(["migrate"]) == 2
    assert "DATABASE_URL" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "bridge", "migrate", "sweep"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert f"rekindle-api {command}" in capsys.readouterr().out


def test_production_refuses_to_be_told_where_to_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKINDLE_FAULT_POINT", "upload.stored")
    values = {"s3_bucket": "photos"}

    assert read(StorageSettings, values)
    with pytest.raises(InvalidSettingsError, match="REKINDLE_FAULT_POINT"):
        read(StorageSettings, {**values, "environment": "production"})


@pytest.mark.parametrize("command", ["bridge", "sweep"])
def test_who_serves_no_pages_asks_for_no_origins_in_production(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("CORS_ORIGINS", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    given = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": GOOD_URL,
        "DATABASE_SSL_ROOT_CERT": "system",
        "S3_BUCKET": "photos",
        "AWS_REGION": "eu-central-1",
        "KUBECONFIG": str(tmp_path / "none"),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert main([command]) == 2
    assert "no way to Kubernetes" in capsys.readouterr().err
