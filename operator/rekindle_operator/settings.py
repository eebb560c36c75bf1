"""Settings of the operator: read once from the environment, then never changed."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Names = Annotated[tuple[str, ...], NoDecode]
"""Names, separated by commas in the environment."""


class Settings(BaseSettings):
    """Every setting is the environment variable REKINDLE_OPERATOR_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="REKINDLE_OPERATOR_", frozen=True, use_attribute_docstrings=True)

    namespaces: Names = Field(default=("default",), min_length=1)
    """Namespaces whose jobs are run, separated by commas."""
    kubeconfig: Path | None = None
    """Path of a kubeconfig; KUBECONFIG, then the service account of the pod, then ~/.kube/config when left out."""
    host: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from other addresses of the cluster
    """Address on which /healthz, /readyz and /metrics are served."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port on which they are served; 0 takes a free one."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity of a log line."""
    workers: int = Field(default=16, ge=1, le=256)
    """How many jobs are worked on at the same time; one job is never worked on twice at once."""
    request_timeout_seconds: float = Field(default=15.0, gt=0, le=300)
    """How long one request to the API server may take."""
    progress_requests_per_second: float = Field(default=20.0, gt=0, le=1000)
    """Budget for reading logs and writing progress, for all jobs together."""
    resync_seconds: float = Field(default=600.0, ge=10)
    """How often everything is listed again, in case a watch lost something."""
    watch_limit_seconds: float = Field(default=240.0, ge=90)
    """/healthz fails when a watch has not talked to the API server for so long."""
    allowed_buckets: Names = ()
    """S3 buckets that jobs may name, separated by commas; every bucket when empty."""
    allowed_service_accounts: Names = ()
    """Service accounts that Engines may name, separated by commas; every one when empty."""

    @field_validator("namespaces", "allowed_buckets", "allowed_service_accounts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - a validator sees what the user gave
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
