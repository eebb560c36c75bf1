"""How the service speaks with Supabase beyond checking tokens, and what it does with accounts."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import NoDecode

from rekindle_api.settings.environment import DomainSettings, InvalidSettingsError

_LEAST_SECRET_LENGTH = 32
_LEAST_KEY_LENGTH = 20


class SupabaseSettings(DomainSettings):
    """How the service asks Supabase about accounts, and how it knows that a webhook is Supabase's."""

    supabase_service_key: SecretStr | None = None
    """Secret key (sb_secret_...) of the project's admin API; production needs it."""
    supabase_timeout_seconds: PositiveFloat = 3
    """How long one request to the admin API may take."""
    supabase_page_size: Annotated[int, Field(ge=1, le=1000)] = 200
    """Accounts that one request to the admin API lists."""
    supabase_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Secrets, separated by commas, that sign webhooks or stand in their header; two while one replaces the other.
    Production needs one of 32 characters or more."""
    supabase_webhook_header: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9-]+$")] = "x-webhook-secret"
    """Header in which an unsigned webhook carries the secret."""
    supabase_webhook_tolerance_seconds: PositiveInt = 300
    """How old a signed webhook may be."""

    @field_validator("supabase_service_key")
    @classmethod
    def _a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _LEAST_KEY_LENGTH:
            raise ValueError("is too short to be a key of Supabase")
        return value

    @field_validator("supabase_webhook_secrets", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return [secret.strip() for secret in value.split(",") if secret.strip()]
        return value

    @model_validator(mode="after")
    def _complete_in_production(self) -> Self:
        if any(len(secret.get_secret_value()) < _LEAST_SECRET_LENGTH for secret in self.supabase_webhook_secrets):
            raise ValueError(f"SUPABASE_WEBHOOK_SECRETS: each needs {_LEAST_SECRET_LENGTH} characters or more")
        if self.production and self.supabase_service_key is None:
            raise ValueError("SUPABASE_SERVICE_KEY: production needs it")
        return self

    def check_web_server(self) -> None:
        """Do nothing if webhooks can be told from forgeries, which only the web server has to.

        Raises:
            InvalidSettingsError: production has no secret for that.
        """
        if self.production and not self.supabase_webhook_secrets:
            raise InvalidSettingsError("SUPABASE_WEBHOOK_SECRETS: production needs one")


class AccountSettings(DomainSettings):
    """How accounts end."""

    deletion_grace_days: Annotated[int, Field(ge=0, le=365)] = 30
    """How long a deletion can be taken back."""
    supabase_missing_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """When more than this share of all accounts is missing in Supabase's list, the list is taken for broken."""

    @property
    def grace(self) -> timedelta:
        """How long a deletion can be taken back."""
        return timedelta(days=self.deletion_grace_days)
