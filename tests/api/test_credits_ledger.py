"""The arithmetic of credits, by tables and by properties over every history."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rekindle_api.credits.ledger import (
    HeldPart,
    Lot,
    Part,
    allocate,
    lapse,
    returned_until,
    settle,
    spendable,
)
from rekindle_api.credits.quotes import CostOptions, Quote, Wishes, quote
from rekindle_api.settings import Costs

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


def lot(remaining: int, days: float | None = None, held: int = 0) -> Lot:
    return Lot(uuid.uuid4(), remaining, held, None if days is None else NOW + days * DAY)


def test_the_lot_that_expires_first_is_spent_first_and_one_that_never_does_last() -> None:
    never, later, soon = lot(5), lot(5, days=9), lot(5, days=1)

    assert allocate([never, later, soon], 12, NOW) == (Part(soon.id, 5), Part(later.id, 5), Part(never.id, 2))


def test_what_is_held_or_expired_cannot_be_reserved_again() -> None:
    expired, held, free = lot(9, days=0), lot(4, days=1, held=3), lot(2)

    assert allocate([expired, held, free], 9, NOW) == (Part(held.id, 1), Part(free.id, 2))
    assert spendable([expired, held, free], 0, NOW) == 3
    assert spendable([expired, held, free], 5, NOW) == -2


def test_a_part_of_a_hold_is_captured_from_the_lot_that_expires_first() -> None:
    soon, later = lot(3, days=1, held=3), lot(9, days=2, held=1)

    settlement = settle([HeldPart(later, 1), HeldPart(soon, 3)], 2, NOW)

    assert settlement.spent == (Part(soon.id, 2),)
    assert settlement.released == (Part(soon.id, 1), Part(later.id, 1))
    assert settlement.lapsed == ()


def test_a_lot_that_expired_under_a_hold_is_captured_all_the_same_and_its_release_lapses() -> None:
    expired = lot(3, days=-1, held=3)

    assert settle([HeldPart(expired, 3)], 3, NOW).spent == (Part(expired.id, 3),)
    assert settle([HeldPart(expired, 3)], 0, NOW).lapsed == (Part(expired.id, 3),)


@pytest.mark.parametrize("captured", [-1, 4])
def test_no_more_than_is_held_is_captured(captured: int) -> None:
    with pytest.raises(ValueError, match="can't be captured"):
        settle([HeldPart(lot(3, held=3), 3)], captured, NOW)


def test_what_expires_pays_debt_first() -> None:
    first, second, alive = lot(3, days=-2), lot(5, days=-1, held=1), lot(9)

    gone = lapse([alive, second, first], 4, NOW)

    assert gone.paid == (Part(first.id, 3), Part(second.id, 1))
    assert gone.expired == (Part(second.id, 3),)


@pytest.mark.parametrize(
    ("days", "expected"), [(None, None), (30.0, NOW + 30 * DAY), (2.0, NOW + 7 * DAY), (-3.0, NOW + 7 * DAY)]
)
def test_returned_credits_last_a_week_at_least(days: float | None, expected: datetime | None) -> None:
    expires_at = None if days is None else NOW + days * DAY

    assert returned_until(expires_at, NOW) == expected


LOTS = st.lists(
    st.builds(
        lambda remaining, held, days: lot(remaining, days, min(held, remaining)),
        st.integers(0, 30),
        st.integers(0, 30),
        st.none() | st.integers(-3, 3),
    ),
    max_size=6,
)


@given(LOTS, st.integers(0, 80))
def test_an_allocation_is_whole_when_there_is_enough_and_takes_no_lot_beyond_what_is_free(
    lots: list[Lot], wanted: int
) -> None:
    parts = allocate(lots, wanted, NOW)

    assert sum(part.credits for part in parts) == min(wanted, spendable(lots, 0, NOW))
    free = {each.id: each.free for each in lots if not each.expired(NOW)}
    assert all(0 < part.credits <= free[part.lot_id] for part in parts)
    assert len({part.lot_id for part in parts}) == len(parts)


@given(LOTS, st.integers(0, 40))
def test_what_lapses_is_everything_free_in_expired_lots_and_pays_no_more_than_is_owed(
    lots: list[Lot], debt: int
) -> None:
    gone = lapse(lots, debt, NOW)
    paid, lost = (sum(part.credits for part in parts) for parts in (gone.paid, gone.expired))
    free = sum(each.free for each in lots if each.expired(NOW))

    assert paid + lost == free
    assert paid == min(debt, free)
    # The user loses nothing that could have been spent.
    left = [each for each in lots if not each.expired(NOW)]
    assert spendable(left, debt - paid, NOW) >= spendable(lots, debt, NOW)


class Histories(RuleBasedStateMachine):
    """Any order of grants, holds, ends, refunds and nights, on a ledger in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.lots: dict[uuid.UUID, Lot] = {}
        self.holds: dict[uuid.UUID, tuple[Part, ...]] = {}
        self.debt = 0
        self.entries: list[int] = []
        self.numbers = itertools.count(1)

    def new_id(self) -> uuid.UUID:
        return uuid.UUID(int=next(self.numbers))

    def change(self, lot_id: uuid.UUID, remaining: int = 0, held: int = 0) -> None:
        old = self.lots[lot_id]
        self.lots[lot_id] = Lot(lot_id, old.remaining + remaining, old.held + held, old.expires_at)

    @rule(credits_=st.integers(1, 40), days=st.none() | st.integers(1, 20))
    def grant(self, credits_: int, days: int | None) -> None:
        paid = min(self.debt, credits_)
        new = Lot(self.new_id(), credits_ - paid, 0, None if days is None else self.now + days * DAY)
        self.lots[new.id] = new
        self.debt -= paid
        self.entries.append(credits_)

    @rule(wanted=st.integers(1, 12))
    def begin(self, wanted: int) -> None:
        before = spendable(self.lots.values(), self.debt, self.now)
        if before < wanted:
            return
        parts = allocate(self.lots.values(), wanted, self.now)
        for part in parts:
            self.change(part.lot_id, held=part.credits)
        self.holds[self.new_id()] = parts
        assert spendable(self.lots.values(), self.debt, self.now) == before - wanted >= 0

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.5, 1.0]))
    def end(self, data: Any, share: float) -> None:
        parts = self.holds.pop(data.draw(st.sampled_from(sorted(self.holds))))
        held = [HeldPart(self.lots[part.lot_id], part.credits) for part in parts]
        settlement = settle(held, int(share * sum(part.credits for part in parts)), self.now)
        for part in (*settlement.spent, *settlement.lapsed):
            self.change(part.lot_id, remaining=-part.credits, held=-part.credits)
            self.entries.append(-part.credits)
        for part in settlement.released:
            self.change(part.lot_id, held=-part.credits)
        if returned := sum(part.credits for part in settlement.lapsed):
            self.grant(returned, 7)

    @precondition(lambda self: self.lots)
    @rule(data=st.data(), credits_=st.integers(1, 40))
    def refund(self, data: Any, credits_: int) -> None:
        chosen = self.lots[data.draw(st.sampled_from(sorted(self.lots)))]
        taken = min(credits_, chosen.free)
        self.change(chosen.id, remaining=-taken)
        self.debt += credits_ - taken
        self.entries.append(-credits_)

    @rule(days=st.integers(1, 9))
    def sleep(self, days: int) -> None:
        self.now += days * DAY

    @rule()
    def sweep(self) -> None:
        gone = lapse(self.lots.values(), self.debt, self.now)
        for part in gone.paid:
            self.change(part.lot_id, remaining=-part.credits)
            self.debt -= part.credits
        for part in gone.expired:
            self.change(part.lot_id, remaining=-part.credits)
            self.entries.append(-part.credits)

    @invariant()
    def the_balance_is_the_sum_of_the_entries(self) -> None:
        assert sum(self.entries) == sum(each.remaining for each in self.lots.values()) - self.debt

    @invariant()
    def nothing_is_negative_and_every_hold_is_covered(self) -> None:
        assert self.debt >= 0
        assert all(0 <= each.held <= each.remaining for each in self.lots.values())
        held = sum(part.credits for parts in self.holds.values() for part in parts)
        assert held == sum(each.held for each in self.lots.values())


TestHistories = Histories.TestCase


@pytest.mark.parametrize(
    ("options", "wishes"),
    [
        ({}, Wishes()),
        ({"restore": True}, Wishes(restore=True)),
        ({"restore": {"denoiseLevel": "low"}}, Wishes(restore=True)),
        ({"restore": {}, "animate": {"style": "smile"}}, Wishes(restore=True, animate=True)),
        ({"restore": False, "colourize": True}, Wishes(colourize=True)),
        ({"restore": {"colourize": True}}, Wishes(restore=True, colourize=True)),
        ({"bringTogether": True}, Wishes(bring_together=True)),
        ({"restore": None, "animate": None}, Wishes()),
        (
            {"model": "x", "params": {"restore": {"colourize": True}, "animate": {"style": "a"}, "bringTogether": {}}},
            Wishes(restore=True, colourize=True),
        ),
        ({"params": {"denoise": 0.5, "colourize": True}}, Wishes(restore=True, colourize=True)),
        ({"params": {"denoise": 0.5, "animate": True}}, Wishes(restore=True, animate=True)),
        ({"params": {"restore": {"colourize": True, "sourceResultId": "x"}}}, Wishes(colourize=True)),
    ],
)
def test_wishes_are_read_in_every_form_that_the_frontend_has(options: dict[str, Any], wishes: Wishes) -> None:
    assert CostOptions.model_validate(options).wishes() == wishes


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(), Quote(0, 0, 0, subtotal=0, total=0)),
        (Wishes(restore=True), Quote(2, 0, 0, subtotal=2, total=2)),
        (Wishes(colourize=True), Quote(0, 3, 0, subtotal=3, total=3)),
        (Wishes(restore=True, colourize=True), Quote(2, 3, 0, subtotal=5, total=4)),
        (Wishes(restore=True, animate=True), Quote(2, 0, 8, subtotal=10, total=10)),
        (Wishes(bring_together=True), Quote(0, 0, 0, subtotal=0, total=0)),
    ],
)
def test_a_quote_adds_up_and_discounts_nothing_but_what_has_a_price_together(wishes: Wishes, expected: Quote) -> None:
    assert quote(wishes, Costs()) == expected


def test_a_price_together_above_the_sum_is_no_discount() -> None:
    quoted = quote(Wishes(restore=True, colourize=True), Costs(restore_and_colourize=7))

    assert (quoted.subtotal, quoted.total) == (7, 7)


@pytest.mark.parametrize(
    ("colourize", "of_result", "cost"), [(False, False, 2), (False, True, 2), (True, False, 4), (True, True, 3)]
)
def test_what_is_quoted_is_what_a_restoration_costs(*, colourize: bool, of_result: bool, cost: int) -> None:
    assert Costs().of_restoration(colourize=colourize, of_result=of_result) == cost
