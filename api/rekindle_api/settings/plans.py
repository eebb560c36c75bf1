"""What tiers give and what work costs: product figures, all of them configuration."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rekindle_api.settings.environment import DomainSettings

GIB = 1024**3


class Tier(StrEnum):
    """What an account has subscribed to."""

    FREE = "free"
    REMEMBER = "remember"
    CHERISH = "cherish"
    FOREVER = "forever"


class Plan(BaseModel):
    """What one tier gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    credits: Annotated[int, Field(ge=0)]
    """Credits of each paid month; of the free tier, once."""
    storage_bytes: Annotated[int, Field(ge=0)]
    """How much photos and results may take."""
    retention_days: Annotated[int, Field(ge=1)] | None = None
    """How long photos and results are kept; for good when null."""
    watermark: bool = False
    """Whether results are served with a watermark."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Priority of the tier's jobs in the queue; higher goes first."""


class Costs(BaseModel):
    """What work costs, in credits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    restore: Annotated[int, Field(ge=0)] = 2
    colourize: Annotated[int, Field(ge=0)] = 3
    """Colour for what is restored already: a restoration with colour that starts from an earlier result."""
    restore_and_colourize: Annotated[int, Field(ge=0)] = 4
    animate: Annotated[int, Field(ge=0)] = 8

    def of_restoration(self, *, colourize: bool, of_result: bool = False) -> int:
        """Return what one restoration costs, of an original or of an earlier result."""
        if not colourize:
            return self.restore
        return self.colourize if of_result else self.restore_and_colourize


_PLANS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        Tier.FREE: {"credits": 3, "storage_bytes": GIB, "retention_days": 7, "watermark": True},
        Tier.REMEMBER: {"credits": 25, "storage_bytes": 10 * GIB, "priority": 50},
        Tier.CHERISH: {"credits": 60, "storage_bytes": 50 * GIB, "priority": 50},
        Tier.FOREVER: {"credits": 150, "storage_bytes": 200 * GIB, "priority": 100},
    }
)


class PlanSettings(DomainSettings):
    """Tiers, costs and packs. Each variable holds JSON, and changes only what it names."""

    plans: dict[Tier, Plan] = Field(
        default_factory=lambda: {Tier(tier): Plan.model_validate(given) for tier, given in _PLANS.items()}
    )
    """What each tier gives, for example {"free": {"credits": 10}}."""
    costs: Costs = Costs()
    """What work costs, for example {"animate": 6}."""
    top_ups: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=lambda: {"small": 10, "medium": 30, "large": 100}
    )
    """Packs on sale, by name, with their credits."""
    top_up_months: Annotated[int, Field(ge=1, le=120)] = 12
    """How long the credits of a pack last."""
    low_credits: Annotated[int, Field(ge=0)] = 5
    """Fewer spendable credits than this give a warning."""

    @field_validator("plans", mode="before")
    @classmethod
    def _over_defaults(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        given = {str(tier): figures for tier, figures in value.items()}
        wrong = [tier for tier, figures in given.items() if not isinstance(figures, Mapping | Plan)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: must be an object")
        merged = {**_PLANS, **{tier: _merged(tier, figures) for tier, figures in given.items()}}
        return {str(tier): figures for tier, figures in merged.items()}

    def plan(self, tier: str) -> Plan:
        """Return what a tier gives."""
        return self.plans[Tier(tier)]


def _merged(tier: str, figures: object) -> object:
    return {**_PLANS.get(tier, {}), **figures} if isinstance(figures, Mapping) else figures
