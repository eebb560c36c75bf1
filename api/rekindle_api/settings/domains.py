"""The settings of each domain."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from rekindle_api.settings.environment import DomainSettings

MIB = 1024 * 1024
_LEAST_JWT_SECRET_BYTES = 32
"""As long as the hash: RFC 7518, section 3.2."""


class StorageSettings(DomainSettings):
    """Where S3 is. Credentials come from boto3's own chain: AWS_ACCESS_KEY_ID, a role, IRSA."""

    s3_bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    """Bucket that holds every photo and result."""
    s3_endpoint_url: str | None = Field(
        default=None, validation_alias=AliasChoices("s3_endpoint_url", "aws_endpoint_url_s3")
    )
    """Address of an S3 server that is not AWS."""
    s3_public_endpoint_url: str | None = None
    """Address under which browsers reach S3; signed URLs use it. The endpoint itself when left out."""
    s3_region: str | None = Field(
        default=None, validation_alias=AliasChoices("s3_region", "aws_region", "aws_default_region")
    )
    """Region of the bucket; boto3's own default when left out."""
    s3_threads: PositiveInt = 16
    """Threads that wait for S3 at once."""

    @field_validator("s3_endpoint_url", "s3_public_endpoint_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        return value if value is None else _checked_url(value)

    @model_validator(mode="after")
    def _https_in_production(self) -> Self:
        for name in ("s3_endpoint_url", "s3_public_endpoint_url"):
            _https_only(self, name, getattr(self, name))
        return self


class AuthSettings(DomainSettings):
    """Whose access tokens are good."""

    supabase_url: str
    """Address of the Supabase project; tokens name <SUPABASE_URL>/auth/v1 as their issuer."""
    supabase_jwt_secret: SecretStr | None = None
    """Only for projects that still sign with the legacy secret (HS256): then tokens signed with it are taken, and no
    others. Leave it out for projects with signing keys."""
    jwt_audience: str = "authenticated"
    """Audience that a token must name."""
    jwks_lifetime_seconds: Annotated[float, Field(gt=0, le=600)] = 600
    """How long fetched keys are used."""
    jwks_timeout_seconds: PositiveFloat = 3
    """How long one fetch of the keys may take."""
    jwks_cooldown_seconds: Annotated[float, Field(ge=0)] = 30
    """How long after a fetch an unknown key id causes no other."""

    @field_validator("supabase_url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        return _checked_url(value)

    @field_validator("supabase_jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < _LEAST_JWT_SECRET_BYTES:
            raise ValueError(f"must have {_LEAST_JWT_SECRET_BYTES} bytes or more")
        return value

    @model_validator(mode="after")
    def _https_in_production(self) -> Self:
        _https_only(self, "supabase_url", self.supabase_url)
        return self

    @property
    def issuer(self) -> str:
        """What a token's `iss` must be."""
        return f"{self.supabase_url}/auth/v1"

    @property
    def jwks_url(self) -> str:
        """Where the public keys are."""
        return f"{self.issuer}/.well-known/jwks.json"


class LogSettings(DomainSettings):
    """What every command that runs on writes about itself."""

    log_level: Annotated[str, StringConstraints(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """Least level that is logged."""


class ServerSettings(DomainSettings):
    """How the web server answers."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("http://localhost:3000",)
    """Origins, separated by commas, whose pages may open event streams and read replies."""
    api_docs: bool | None = None
    """Whether the API is shown at /docs; left out, everywhere but in production."""
    keep_alive_seconds: PositiveInt = 130
    """How long a connection stays open without a request: longer than the load balancer keeps its own, which otherwise
    sends a request into one that is being closed and answers 502."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if isinstance(value, str):
            return [origin.strip().rstrip("/") for origin in value.split(",") if origin.strip()]
        return value

    @model_validator(mode="after")
    def _named_in_production(self) -> Self:
        if "*" in self.cors_origins:
            raise ValueError("CORS_ORIGINS: name each origin; * is refused")
        if self.production and any(not origin.startswith("https://") for origin in self.cors_origins):
            raise ValueError("CORS_ORIGINS: production needs https:// origins, set them")
        return self

    @property
    def shows_docs(self) -> bool:
        """Whether the API is shown at /docs."""
        return not self.production if self.api_docs is None else self.api_docs


class LimitSettings(DomainSettings):
    """How much one request may ask for."""

    max_upload_bytes: PositiveInt = 50 * MIB
    """Largest photo that is taken."""
    uploads_at_once: PositiveInt = 64
    """Uploads that one process takes at once; each may need a spool file of the largest size."""
    upload_parts_in_memory: PositiveInt = 8
    """Parts of uploads that one process holds in memory at once, over all requests."""
    max_image_pixels: PositiveInt = 100_000_000
    """Width times height of the largest photo that is taken; the worker takes no larger one either."""
    inspections_at_once: PositiveInt = 2
    """Photos that one process decodes at once."""
    inspection_memory_bytes: PositiveInt = 1536 * MIB
    """Address space of the process that decodes one photo."""
    inspection_seconds: PositiveInt = 20
    """Processor time, and half the wall time, of the process that decodes one photo."""
    signed_url_seconds: Annotated[int, Field(ge=1, le=900)] = 900
    """Longest life of a signed URL."""
    stream_seconds: PositiveInt = 600
    """How long one event stream stays open before the client connects again."""


class ClusterSettings(DomainSettings):
    """Where the custom resources are made."""

    rekindle_namespace: Annotated[str, StringConstraints(min_length=1, max_length=63)] = "rekindle"
    """Kubernetes namespace of this environment's jobs."""


def _checked_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError("must be an http:// or https:// URL")
    return value.rstrip("/")


def _https_only(settings: DomainSettings, name: str, value: str | None) -> None:
    if settings.production and value is not None and not value.startswith("https://"):
        raise ValueError(f"{name.upper()}: production needs https://")
