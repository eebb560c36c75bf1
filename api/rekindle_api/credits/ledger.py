"""The arithmetic of credits: what may be spent, which lots a hold takes, and what becomes of it. Pure."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RETURN_PERIOD = timedelta(days=7)
"""How long credits can be spent at least that come back after their lot expired."""
_FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Lot:
    """Credits that came together. `remaining` is neither spent, expired nor taken back, and includes what is held."""

    id: uuid.UUID
    remaining: int
    held: int
    expires_at: datetime | None

    @property
    def free(self) -> int:
        """What no attempt has reserved."""
        return self.remaining - self.held

    def expired(self, now: datetime) -> bool:
        """Tell whether nothing of the lot may be reserved any more."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class Part:
    """Some credits of one lot."""

    lot_id: uuid.UUID
    credits: int


@dataclass(frozen=True)
class HeldPart:
    """Some credits of one lot that an attempt has reserved."""

    lot: Lot
    credits: int


@dataclass(frozen=True)
class Settlement:
    """What becomes of a hold: spent, back in lots that can be spent, or lost with a lot that expired meanwhile."""

    spent: tuple[Part, ...]
    released: tuple[Part, ...]
    lapsed: tuple[Part, ...]


@dataclass(frozen=True)
class Lapse:
    """What is lost with lots that expired, and what of them pays debt first."""

    expired: tuple[Part, ...]
    paid: tuple[Part, ...]


def spendable(lots: Iterable[Lot], debt: int, now: datetime) -> int:
    """Return what new work may reserve; negative while more is owed than there is."""
    return sum(lot.free for lot in lots if not lot.expired(now)) - debt


def allocate(lots: Iterable[Lot], credits_: int, now: datetime) -> tuple[Part, ...]:
    """Take credits from lots, the earliest to expire first, as far as they go."""
    parts = []
    for lot in sorted((lot for lot in lots if not lot.expired(now)), key=_earliest_first):
        if (taken := min(lot.free, credits_)) > 0:
            parts.append(Part(lot.id, taken))
            credits_ -= taken
    return tuple(parts)


def settle(parts: Sequence[HeldPart], captured: int, now: datetime) -> Settlement:
    """Spend `captured` credits of a hold, the earliest to expire first, and let go of the others.

    Raises:
        ValueError: the hold is smaller, or `captured` is negative.
    """
    if not 0 <= captured <= sum(part.credits for part in parts):
        raise ValueError(f"{captured} credits can't be captured of this hold")
    spent: list[Part] = []
    released: list[Part] = []
    lapsed: list[Part] = []
    for part in sorted(parts, key=lambda part: _earliest_first(part.lot)):
        taken = min(part.credits, captured)
        captured -= taken
        if taken:
            spent.append(Part(part.lot.id, taken))
        if left := part.credits - taken:
            (lapsed if part.lot.expired(now) else released).append(Part(part.lot.id, left))
    return Settlement(tuple(spent), tuple(released), tuple(lapsed))


def lapse(lots: Iterable[Lot], debt: int, now: datetime) -> Lapse:
    """Return what becomes of everything unreserved in lots that expired: it pays debt, then it is lost."""
    expired, paid = [], []
    for lot in sorted((lot for lot in lots if lot.expired(now) and lot.free > 0), key=_earliest_first):
        if paying := min(debt, lot.free):
            paid.append(Part(lot.id, paying))
            debt -= paying
        if lost := lot.free - paying:
            expired.append(Part(lot.id, lost))
    return Lapse(tuple(expired), tuple(paid))


def returned_until(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Return when credits expire that come back to their user: as before, but not within the next days."""
    return None if expires_at is None else max(expires_at, now + RETURN_PERIOD)


def _earliest_first(lot: Lot) -> tuple[datetime, uuid.UUID]:
    return (lot.expires_at or _FOREVER, lot.id)
