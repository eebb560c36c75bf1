"""What Stripe's words mean here: tiers, credits and what is taken back. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Protocol

from rekindle_api.billing.months import month_before
from rekindle_api.billing.remote import InvoiceLine, RemoteDispute, RemoteRefund
from rekindle_api.settings import Tier

_PAYING = {"active", "trialing", "past_due"}
LIVE = _PAYING | {"unpaid", "paused"}
"""States in which a subscription can still take money."""
_REFUND_FAILED = {"failed", "canceled"}
# An inquiry moves no money, a won dispute gave it back, and for a prevented one there is a refund.
_MONEY_STAYS = {"warning_needs_response", "warning_under_review", "warning_closed", "won", "prevented"}


class KnownSubscription(Protocol):
    """What decides between the subscriptions of one user."""

    @property
    def id(self) -> str:
        """Stripe's id."""

    @property
    def status(self) -> str:
        """Stripe's word."""

    @property
    def tier(self) -> str:
        """What it is for."""

    @property
    def superseded(self) -> bool:
        """Whether it was found to be a second one."""

    @property
    def started_at(self) -> datetime:
        """When it was made."""

    @property
    def current_period_end(self) -> datetime | None:
        """Until when it is paid."""

    @property
    def cancel_at_period_end(self) -> bool:
        """Whether it ends then."""


def is_live(status: str) -> bool:
    """Tell whether a subscription in this state can still take money, so that there may be no other."""
    return status in LIVE


def gives_tier(status: str) -> bool:
    """Tell whether a subscription in this state gives its tier: also while Stripe tries a failed payment again."""
    return status in _PAYING


@dataclass(frozen=True)
class Standing:
    """What the subscriptions of a user come to."""

    tier: Tier
    renews_at: datetime | None
    superseded: frozenset[str]
    """Those beside the one that counts."""


def standing(subscriptions: Iterable[KnownSubscription]) -> Standing:
    """Return what all subscriptions of one user come to: the first that lives counts, and any other is too many."""
    live = sorted(
        (each for each in subscriptions if is_live(each.status) and not each.superseded),
        key=lambda each: (each.started_at, each.id),
    )
    superseded = frozenset(each.id for each in live[1:])
    if not live or not gives_tier(live[0].status):
        return Standing(Tier.FREE, None, superseded)
    first = live[0]
    return Standing(Tier(first.tier), None if first.cancel_at_period_end else first.current_period_end, superseded)


@dataclass(frozen=True)
class InvoiceCredits:
    """What a paid invoice does to the credits of its user."""

    credits: int
    """To be granted, or with a minus taken back."""
    period_end: datetime
    tier: Tier | None
    """What was charged for; None when money was only given back."""


def credits_of_invoice(
    lines: Sequence[InvoiceLine], anchor: datetime, tier_of: Callable[[str], Tier], credits_of: Mapping[Tier, int]
) -> InvoiceCredits | None:
    """Return what a paid invoice gives: the month's credits for a whole period, and in proportion for part of one.

    Stripe bills a change of subscription as two parts of a period: money back for the old price and a charge for the
    new one. Credits follow the money, so an upgrade grants the difference for the time that is left, and a downgrade
    that gives money back takes the difference.

    Args:
        lines: what is billed.
        anchor: when the subscription began; its months keep to that day.
        tier_of: the tier that a price is for.
        credits_of: the credits of a whole month.

    Returns:
        None if no line is for a subscription.
    """
    ours = [(line, tier_of(line.price)) for line in lines if line.of_subscription and line.price is not None]
    if not ours:
        return None
    total = Fraction(0)
    for line, tier in ours:
        share = _share(line.period_start, line.period_end, anchor) if line.proration else Fraction(1)
        total += share * credits_of[tier] * (-1 if line.amount < 0 else 1)
    # What was charged for says more than what was given back, and of equals the last; there may be only the latter.
    latest, tier = max(reversed(ours), key=lambda each: (each[0].amount >= 0, each[0].period_end))
    return InvoiceCredits(_rounded(total), latest.period_end, tier if latest.amount >= 0 else None)


def _share(start: datetime, end: datetime, anchor: datetime) -> Fraction:
    """Return which share of the month that ends at `end` is left at `start`."""
    month = end - month_before(end, anchor)
    return max(Fraction(0), min(Fraction(1), Fraction(int((end - start).total_seconds()), int(month.total_seconds()))))


@dataclass(frozen=True)
class Return:
    """Money of a payment that went back, or is held back: by one refund or one dispute."""

    id: str
    amount: int
    word: str
    """What it is called in the history."""
    stands: bool
    """Whether it is so still: a refund can fail, and a dispute can be won."""


def returns_of(refunds: Iterable[RemoteRefund], disputes: Iterable[RemoteDispute]) -> list[Return]:
    """Return what went back of a payment, in the order of time."""
    back = [
        (each.created, Return(each.id, each.amount, "Refunded", each.status not in _REFUND_FAILED)) for each in refunds
    ]
    back += [
        (each.created, Return(each.id, each.amount, "Disputed", each.status not in _MONEY_STAYS)) for each in disputes
    ]
    return [each for _, each in sorted(back, key=lambda item: (item[0], item[1].id))]


def credits_taken(granted: int, amount: int, taken: int) -> int:
    """Return how many of the credits that a payment granted go back when `taken` of its `amount` did: in proportion."""
    if granted <= 0 or taken <= 0 or amount <= 0:
        return 0
    return _rounded(Fraction(granted * min(taken, amount), amount))


def _rounded(value: Fraction) -> int:
    """Round half away from zero."""
    return int(abs(value) + Fraction(1, 2)) * (-1 if value < 0 else 1)
