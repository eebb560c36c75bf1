"""How settings are read from environment variables, and how wrong ones are reported."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self, TypeVar

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

FAULT_VARIABLE = "REKINDLE_FAULT_POINT"
"""Names the place at which a process kills itself, in tests only; see `rekindle_api.faults`."""


class Environment(StrEnum):
    """Where the service runs. Production is strict."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class DomainSettings(BaseSettings):
    """Base of every settings class: read once, never changed."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    environment: Environment = Environment.DEVELOPMENT
    """development, staging or production."""

    @model_validator(mode="after")
    def _no_faults_in_production(self) -> Self:
        if self.production and FAULT_VARIABLE in os.environ:
            raise ValueError(f"{FAULT_VARIABLE}: is for tests, production refuses it")
        return self

    @property
    def production(self) -> bool:
        """Whether the strict rules of production hold."""
        return self.environment is Environment.PRODUCTION


class InvalidSettingsError(Exception):
    """Environment variables are missing or refused; the text has one line for each."""


S = TypeVar("S", bound=DomainSettings)


def read(kind: type[S], overrides: Mapping[str, Any] | None = None) -> S:
    """Read one settings class from the environment.

    Raises:
        InvalidSettingsError: with the name of each variable and what is wrong; never its value.
    """
    try:
        return kind(**(overrides or {}))
    except ValidationError as error:
        raise InvalidSettingsError("\n".join(_line(dict(item)) for item in error.errors())) from None


def _line(item: dict[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    variable = "".join(str(part).upper() for part in item["loc"][:1])
    return f"{variable}: {message}" if variable else message
