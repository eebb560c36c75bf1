"""What production asks for before it takes part with Supabase, and what is refused everywhere."""

from typing import Any

import pytest

from rekindle_api.settings import AuthSettings, InvalidSettingsError, SupabaseSettings, read

KEY, SECRET = "sb_secret_long_enough_for_a_key", "a webhook secret of more than 32 characters"


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"supabase_webhook_secrets": SECRET}, "SUPABASE_SERVICE_KEY"),
        ({"supabase_service_key": KEY}, "SUPABASE_WEBHOOK_SECRETS"),
        ({"supabase_service_key": KEY, "supabase_webhook_secrets": ""}, "SUPABASE_WEBHOOK_SECRETS"),
        ({"supabase_service_key": KEY, "supabase_webhook_secrets": "short"}, "SUPABASE_WEBHOOK_SECRETS"),
        ({"supabase_service_key": KEY, "supabase_webhook_secrets": f"{SECRET},short"}, "SUPABASE_WEBHOOK_SECRETS"),
        ({"supabase_service_key": "short", "supabase_webhook_secrets": SECRET}, "SUPABASE_SERVICE_KEY"),
    ],
)
def test_production_refuses_to_start_without(values: dict[str, Any], variable: str) -> None:
    with pytest.raises(InvalidSettingsError, match=variable) as refused:
        read(SupabaseSettings, {**values, "environment": "production"}).check_web_server()

    assert SECRET not in str(refused.value)
    assert "short" not in str(refused.value).replace("too short", "")


def test_production_takes_key_and_secrets() -> None:
    values = {"supabase_service_key": KEY, "supabase_webhook_secrets": f"{SECRET}, {SECRET[::-1]}"}

    settings = read(SupabaseSettings, {**values, "environment": "production"})

    settings.check_web_server()
    assert [each.get_secret_value() for each in settings.supabase_webhook_secrets] == [SECRET, SECRET[::-1]]
    assert SECRET not in repr(settings)


def test_the_sweep_needs_no_secret_of_webhooks() -> None:
    assert read(SupabaseSettings, {"supabase_service_key": KEY, "environment": "production"}).production


def test_a_short_legacy_secret_is_refused_everywhere() -> None:
    with pytest.raises(InvalidSettingsError, match="SUPABASE_JWT_SECRET"):
        read(AuthSettings, {"supabase_url": "https://project.example", "supabase_jwt_secret": "x" * 31})
