"""Where PostgreSQL is, how its server is recognised, and as whom this service signs in."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AliasChoices, Field, PositiveInt, SecretStr, StringConstraints, field_validator, model_validator

from rekindle_api.settings.environment import DomainSettings

_DRIVER = "postgresql+psycopg"
_WEAK_PASSWORDS = {"", "postgres", "password", "changeme", "secret", "rekindle"}
_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_VERIFIED = "verify-full"
_SYSTEM = "system"
_FEWEST_CONNECTIONS = 4
"""A request may hold two while it waits for another service; others must go on meanwhile."""


class DatabaseSettings(DomainSettings):
    """Where PostgreSQL is."""

    database_url: SecretStr
    """postgresql://user:password@host/database; production needs a password, unless tokens are used."""
    database_ssl_root_cert: str | None = None
    """File of the authorities whose certificates are believed, for RDS its global bundle; `system` for those of the
    machine. The server must then have a certificate of its name; production needs it."""
    database_iam_auth: bool = False
    """Whether each new connection signs in with a fresh token of AWS instead of a password."""
    database_iam_region: str | None = Field(
        default=None, validation_alias=AliasChoices("database_iam_region", "aws_region", "aws_default_region")
    )
    """Region of the database, for tokens."""
    database_pool_size: PositiveInt = 10
    """Connections that one process keeps open."""
    database_pool_overflow: Annotated[int, Field(ge=0)] = 10
    """Connections that one process may open beyond that."""

    @field_validator("database_url")
    @classmethod
    def _postgresql_only(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres", _DRIVER}:
            raise ValueError("must be a postgresql:// URL")
        return value

    @field_validator("database_ssl_root_cert")
    @classmethod
    def _certificates_exist(cls, value: str | None) -> str | None:
        if value is not None and value != _SYSTEM and not Path(value).is_file():
            raise ValueError("there is no such file")
        return value

    @model_validator(mode="after")
    def _enough_connections(self) -> Self:
        if self.database_pool_size + self.database_pool_overflow < _FEWEST_CONNECTIONS:
            raise ValueError(
                f"DATABASE_POOL_SIZE and DATABASE_POOL_OVERFLOW must come to {_FEWEST_CONNECTIONS} or more"
            )
        return self

    @model_validator(mode="after")
    def _recognised_server(self) -> Self:
        mode = self.ssl_parameters.get("sslmode", self._option("sslmode"))
        root = self.ssl_parameters.get("sslrootcert", self._option("sslrootcert"))
        if self.database_ssl_root_cert is not None and self._option("sslmode") not in {None, _VERIFIED}:
            raise ValueError("DATABASE_URL: with DATABASE_SSL_ROOT_CERT its sslmode is verify-full, or left out")
        if self.production and (mode != _VERIFIED or root is None):
            raise ValueError(
                "DATABASE_SSL_ROOT_CERT: production needs it, or sslmode=verify-full and sslrootcert in DATABASE_URL"
            )
        if self.database_iam_auth and mode not in _ENCRYPTED:
            raise ValueError("DATABASE_IAM_AUTH: a token may not travel in the clear; set DATABASE_SSL_ROOT_CERT")
        return self

    @model_validator(mode="after")
    def _known_user(self) -> Self:
        parts = urlsplit(self.database_url.get_secret_value())
        if self.database_iam_auth:
            if parts.password or not parts.hostname or not parts.username:
                raise ValueError("DATABASE_URL: with DATABASE_IAM_AUTH it has a user, a host and no password")
            if not self.database_iam_region:
                raise ValueError("DATABASE_IAM_REGION: set it, or AWS_REGION")
        elif self.production and unquote(parts.password or "") in _WEAK_PASSWORDS:
            raise ValueError("DATABASE_URL: production needs a password that is not a default")
        return self

    @property
    def sqlalchemy_url(self) -> str:
        """The URL with SQLAlchemy's name of the driver."""
        return f"{_DRIVER}:{self.database_url.get_secret_value().partition(':')[2]}"

    @property
    def libpq_url(self) -> str:
        """The URL as psycopg itself takes it."""
        return f"postgresql:{self.database_url.get_secret_value().partition(':')[2]}"

    @property
    def ssl_parameters(self) -> dict[str, str]:
        """What a connection is opened with beside the URL, so that the server must prove who it is."""
        if self.database_ssl_root_cert is None:
            return {}
        return {"sslmode": _VERIFIED, "sslrootcert": self.database_ssl_root_cert}

    def _option(self, name: str) -> str | None:
        return parse_qs(urlsplit(self.database_url.get_secret_value()).query).get(name, [None])[-1]


class MigrationSettings(DomainSettings):
    """What the owner of the database sets up for others."""

    database_app_role: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = None
    """Role that `serve`, `bridge` and `sweep` sign in as: it is given what they need of each table, and no more."""
