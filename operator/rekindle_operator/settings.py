"""Settings of the operator: read once from the environment, then never changed."""

import secrets
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
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
    max_running: int | None = Field(default=None, ge=1, le=100_000)
    """At most this many jobs run at once in each namespace, those with a Kueue queue not counted; no limit when left
    out. Engines have limits of their own."""
    ended_period_seconds: float = Field(default=120.0, ge=1)
    """How often jobs that have ended are listed, for those whose time to live was changed or is about to end."""
    resync_seconds: float = Field(default=600.0, ge=10)
    """How often everything is listed again, in case a watch lost something."""
    watch_seconds: int = Field(default=60, ge=5, le=60)
    """How long a watch lasts before it is opened anew; one that lasts longer is given up as a dead connection."""
    watch_limit_seconds: float = Field(default=240.0, ge=90)
    """/healthz fails when a watch has not talked to the API server for so long."""
    lease_name: str = Field(default="rekindle-operator", pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
    """Name of the Lease, in the first of the namespaces by the alphabet, whose holder is the one operator that acts."""
    lease_duration_seconds: int = Field(default=15, ge=1, le=3600)
    """How long a standby waits, without having seen a renewal, before it leads."""
    renew_deadline_seconds: float = Field(default=10.0, gt=0)
    """A leader that could not renew the Lease for so long stops acting; shorter than lease_duration_seconds."""
    retry_period_seconds: float = Field(default=2.0, gt=0)
    """How often the leader renews the Lease, and a standby looks at it."""
    identity: str = Field(default_factory=lambda: f"{socket.gethostname()}_{secrets.token_hex(4)}", min_length=1)
    """Who this process is in the Lease; the host name and a random part when left out. A process that finds the Lease
    in its own name leads at once, so two that run at the same time must never share it; the uid of a pod is a good one:
    a container that was killed and restarted need not wait."""
    service_account: str = ""
    """Service account of this pod, in the namespace of the Lease. A Lease that is new is made its dependent, so that it
    goes when the account does: with the installation. Left out, the Lease stays."""
    allowed_buckets: Names = ()
    """S3 buckets that jobs may name, separated by commas; every bucket when empty."""
    allowed_service_accounts: Names = ()
    """Service accounts that Engines may name, separated by commas; every one when empty."""

    @field_validator("namespaces", "allowed_buckets", "allowed_service_accounts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - a validator sees what the user gave
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _lease_times_leave_a_margin(self) -> Self:
        if not 1.2 * self.retry_period_seconds < self.renew_deadline_seconds < self.lease_duration_seconds:
            raise ValueError(
                "1.2 times retry_period_seconds must be less than renew_deadline_seconds, "
                "and that less than lease_duration_seconds"
            )
        return self

    @property
    def lease_namespace(self) -> str:
        """Namespace of the Lease: the same one in whatever order the namespaces are given."""
        return min(self.namespaces)
