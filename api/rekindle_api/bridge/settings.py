"""Settings of the bridge and of the sweep."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from rekindle_api.settings import DomainSettings
from rekindle_crds import WatermarkText

_HOUR = 3600
_DAY = 24 * _HOUR


class BridgeSettings(DomainSettings):
    """How orders reach Kubernetes, and how the way back is watched."""

    start_deadline_seconds: Annotated[int, Field(ge=1, le=30 * _DAY)] = 6 * _HOUR
    """How long a job may wait for its first container before it fails."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=7 * _DAY)] = _HOUR // 2
    """How long the containers of a job may run in all before it fails."""
    watermark_text: WatermarkText = "Rekindle"
    """What stands on the copies of results that are made for tiers with a watermark."""
    bridge_orders_at_once: PositiveInt = 8
    """Orders of the outbox that one process carries out at the same time."""
    bridge_poll_seconds: PositiveFloat = 2
    """How often the outbox is looked at when no notification came."""
    bridge_claim_seconds: Annotated[float, Field(ge=1)] = 30
    """How long an order belongs to the process that took it; longer than one request to Kubernetes."""
    bridge_request_seconds: PositiveFloat = 10
    """How long one request to Kubernetes may take."""
    bridge_backoff_seconds: PositiveFloat = 1
    """Longest wait after the first failure of an order; it doubles with each further one."""
    bridge_backoff_limit_seconds: PositiveFloat = 300
    """Longest wait between two tries."""
    bridge_park_after: PositiveInt = 12
    """How many refusals by Kubernetes set an order aside. An API server that is down never does."""
    bridge_resume_seconds: PositiveFloat = 300
    """How often orders that were set aside get one more try."""
    bridge_sightings_at_once: PositiveInt = 8
    """Resources whose state one process writes into attempts at the same time."""
    bridge_silence_seconds: PositiveFloat = 90
    """A watch without a word for this long is opened anew; the API server sends a bookmark every minute."""
    bridge_vanished_seconds: NonNegativeFloat = 120
    """How long after its resource vanished an attempt may still get a result: longer than a pod takes to end."""
    bridge_repair_seconds: PositiveFloat = 60
    """How often open attempts and live resources are compared."""
    bridge_host: str = "127.0.0.1"
    """Address that health and metrics listen on."""
    bridge_port: Annotated[int, Field(ge=0, le=65535)] = 8001
    """Port of /healthz, /readyz and /metrics; 0 turns them off."""

    @property
    def claim(self) -> timedelta:
        """How long an order belongs to the process that took it."""
        return timedelta(seconds=self.bridge_claim_seconds)


class SweepSettings(DomainSettings):
    """When something is over."""

    resource_retention_seconds: NonNegativeFloat = _DAY
    """How long a custom resource stays after its attempt ended."""
    pending_upload_seconds: NonNegativeFloat = _HOUR
    """How long an upload may stay unfinished, and how long after its end what is left of it is still looked for."""
    deletion_quiet_seconds: NonNegativeFloat = 600
    """How long after the last attempt's end the objects of something deleted stay: no pod writes any more by then."""
