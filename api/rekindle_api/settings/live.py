"""Settings of event streams."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from rekindle_api.settings.environment import DomainSettings, Environment

_LEAST_BYTES = 32


class LiveSettings(DomainSettings):
    """How event streams are opened and kept."""

    ticket_secret: SecretStr | None = None
    """Signs the tickets of event streams: 32 bytes or more, the same for every replica. Development makes one up."""
    heartbeat_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    """How often open streams get a sign of life, and their accounts are looked at again."""

    @model_validator(mode="after")
    def _strong(self) -> Self:
        secret = self.ticket_secret
        if secret is None and self.environment is not Environment.DEVELOPMENT:
            raise ValueError("TICKET_SECRET: set it, to the same value on every replica")
        if secret is not None and len(secret.get_secret_value().encode()) < _LEAST_BYTES:
            raise ValueError(f"TICKET_SECRET: needs at least {_LEAST_BYTES} bytes")
        return self
