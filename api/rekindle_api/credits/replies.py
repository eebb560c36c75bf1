"""How credits look to clients."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rekindle_api.credits.models import CreditEntry, EntryKind, LotSource
from rekindle_api.credits.quotes import Quote
from rekindle_api.settings import Costs, Tier

BRING_TOGETHER_NOTE = "bringTogether is not offered: nothing is done for it, and it costs nothing."


class _Reply(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class HistoryType(StrEnum):
    """What the frontend knows of a change."""

    EARNED = "earned"
    SPENT = "spent"
    PURCHASED = "purchased"
    REFUNDED = "refunded"


class HistoryEntry(_Reply):
    """One change of the balance."""

    id: str
    type: HistoryType
    amount: int = Field(description="Credits; negative for what was spent, expired or taken back.")
    description: str
    created_at: datetime
    processing_job_id: uuid.UUID | None = Field(description="The attempt that it is about.")


class UsageRules(_Reply):
    """What work costs, in credits."""

    restore: int
    colourize: int = Field(description="Colour for an earlier result.")
    restore_and_colourize: int
    animate: int
    charged: str = "Credits are reserved when work begins and spent when it completes; what fails costs nothing."


class Balance(_Reply):
    """What a user can spend, and what became of their credits."""

    total_credits: int = Field(description="What new work may cost; negative while credits are owed.")
    held_credits: int = Field(description="Reserved by work that runs; not in the total.")
    owed_credits: int = Field(description="Spent credits whose payment was refunded; the next credits pay them.")
    subscription_tier: Tier
    next_billing_date: datetime | None
    low_credit_warning: bool
    credit_history: list[HistoryEntry] = Field(description="Newest first.")
    older_history: str | None = Field(description="Send it as `before` for the page after this one; null on the last.")
    usage_rules: UsageRules


class IndividualCosts(_Reply):
    """What each wish costs by itself."""

    restore: int
    colourize: int
    animate: int
    bring_together: int = 0


class CostReply(_Reply):
    """What wishes cost together, and what would be left."""

    individual_costs: IndividualCosts
    subtotal: int
    combined_discount: int
    total_cost: int
    available_credits: int
    remaining_credits: int = Field(description="Negative when there are too few.")
    notes: list[str]


_TYPES: Mapping[str, HistoryType] = MappingProxyType(
    {
        EntryKind.GRANTED: HistoryType.EARNED,
        EntryKind.SPENT: HistoryType.SPENT,
        EntryKind.EXPIRED: HistoryType.SPENT,
        EntryKind.REVERSED: HistoryType.REFUNDED,
    }
)


def history_entry(entry: CreditEntry, source: str | None) -> HistoryEntry:
    """Return an entry; `source` is that of its lot."""
    kind = _TYPES.get(entry.kind, HistoryType.EARNED if entry.amount > 0 else HistoryType.SPENT)
    if entry.kind == EntryKind.GRANTED and source == LotSource.TOP_UP:
        kind = HistoryType.PURCHASED
    return HistoryEntry(
        id=str(entry.id),
        type=kind,
        amount=entry.amount,
        description=entry.description,
        created_at=entry.created_at,
        processing_job_id=entry.attempt_id,
    )


def usage_rules(costs: Costs) -> UsageRules:
    """Return the price list."""
    return UsageRules(
        restore=costs.restore,
        colourize=costs.colourize,
        restore_and_colourize=costs.restore_and_colourize,
        animate=costs.animate,
    )


def cost_reply(quoted: Quote, available: int, *, bring_together: bool) -> CostReply:
    """Return a quote beside what can be spent."""
    return CostReply(
        individual_costs=IndividualCosts(restore=quoted.restore, colourize=quoted.colourize, animate=quoted.animate),
        subtotal=quoted.subtotal,
        combined_discount=quoted.subtotal - quoted.total,
        total_cost=quoted.total,
        available_credits=available,
        remaining_credits=available - quoted.total,
        notes=[BRING_TOGETHER_NOTE] if bring_together else [],
    )
