"""Credits on the database: what is given, held, spent, released, taken back and lost, and what each of it leaves."""

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from rekindle_api.attempts.models import AttemptStatus
from rekindle_api.credits import service
from rekindle_api.credits.errors import CreditsOwedError, InsufficientCreditsError, LotNotFoundError
from rekindle_api.credits.expiry import expire_credits

if TYPE_CHECKING:
    from tests.api.credits.conftest import Ledger

pytestmark = pytest.mark.stack
COMPLETED, FAILED, CANCELLED = AttemptStatus.COMPLETED, AttemptStatus.FAILED, AttemptStatus.CANCELLED


async def test_a_grant_counts_once_for_each_reference(ledger: "Ledger") -> None:
    user = await ledger.user()

    given = await asyncio.gather(*(ledger.grant(user, 10, reference="cs_1") for _ in range(5)))

    assert sorted(given) == [False, False, False, False, True]
    assert await ledger.sums(user) == (10, 0, 0)
    assert await ledger.entries(user) == [("granted", 10)]


async def test_a_hold_takes_from_the_lot_that_expires_first(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10)
    await ledger.grant(user, 3, days=30)
    await ledger.grant(user, 4, days=10)

    attempt_id = await ledger.hold(user, 8)

    assert await ledger.run("SELECT granted, held FROM credit_lots ORDER BY granted") == [(3, 3), (4, 4), (10, 1)]
    assert await ledger.sums(user) == (17, 8, 0)
    assert await ledger.spendable(user) == 9
    await ledger.settle(user, attempt_id, 8)
    assert await ledger.sums(user) == (9, 0, 0)
    assert sorted(await ledger.entries(user))[-3:] == [("spent", -4), ("spent", -3), ("spent", -1)]


async def test_who_has_too_few_is_told_how_many_are_needed_and_how_many_there_are(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 1)

    with pytest.raises(InsufficientCreditsError) as refused:
        await ledger.hold(user, 2)

    assert (refused.value.needed, refused.value.available) == (2, 1)
    assert "2 credits" in refused.value.detail
    assert await ledger.sums(user) == (1, 0, 0)


async def test_work_that_costs_nothing_needs_no_account(ledger: "Ledger") -> None:
    user = await ledger.user()

    await ledger.hold(user, 0)

    assert await ledger.run("SELECT * FROM credit_holds") == []
    assert await ledger.spendable(user) == 0


async def test_settling_twice_does_it_once_and_the_first_decides(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 5)
    attempt_id = await ledger.hold(user, 4)

    await ledger.settle(user, attempt_id, 4)
    await ledger.settle(user, attempt_id, 0)

    assert await ledger.sums(user) == (1, 0, 0)
    assert await ledger.run("SELECT state FROM credit_holds") == [("captured",)]


async def test_a_part_is_captured_and_the_rest_comes_back(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 5)
    attempt_id = await ledger.hold(user, 4)

    await ledger.settle(user, attempt_id, 2)

    assert await ledger.sums(user) == (3, 0, 0)
    assert await ledger.spendable(user) == 3


async def test_a_lot_that_expires_under_a_hold_can_still_be_spent(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 5, days=1)
    attempt_id = await ledger.hold(user, 4)
    await ledger.pass_by(user, days=2)

    assert await ledger.expire(user) == 1
    await ledger.settle(user, attempt_id, 4)

    assert await ledger.entries(user) == [("granted", 5), ("expired", -1), ("spent", -4)]


async def test_what_comes_back_to_a_lot_that_expired_is_good_for_another_week(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 5, days=1)
    attempt_id = await ledger.hold(user, 4)
    await ledger.pass_by(user, days=2)

    await ledger.settle(user, attempt_id, 0)

    assert await ledger.spendable(user) == 4
    assert await ledger.entries(user) == [("granted", 5), ("expired", -4), ("granted", 4)]
    [[source, a_week]] = await ledger.run(
        "SELECT source, expires_at - now() BETWEEN interval '167 hours' AND interval '7 days'"
        " FROM credit_lots WHERE remaining = 4"
    )
    assert (source, a_week) == ("returned", True)
    assert await ledger.expire(user) == 1


async def test_expired_credits_cannot_be_spent_before_the_sweep_has_seen_them(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 5, days=1)
    await ledger.pass_by(user, days=1)

    assert await ledger.spendable(user) == 0
    with pytest.raises(InsufficientCreditsError):
        await ledger.hold(user, 1)


async def test_the_sweep_writes_expired_credits_of_everybody_off_once(ledger: "Ledger") -> None:
    users = [await ledger.user() for _ in range(4)]
    for user in users[:3]:
        await ledger.grant(user, 5, days=1)
        await ledger.grant(user, 7)
        await ledger.pass_by(user, days=1)

    done, again = await asyncio.gather(expire_credits(ledger.database), expire_credits(ledger.database))

    assert (done.credits + again.credits, done.failures, again.failures) == (15, 0, 0)
    assert [await ledger.spendable(user) for user in users] == [7, 7, 7, 0]
    assert (await expire_credits(ledger.database)).users == 0


async def test_a_refund_takes_what_is_left_of_its_lot_and_the_rest_is_owed(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1", days=300)
    await ledger.settle(user, await ledger.hold(user, 4), 4)

    assert await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")
    assert not await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")

    assert await ledger.sums(user) == (-4, 0, 4)
    assert await ledger.spendable(user) == -4
    with pytest.raises(CreditsOwedError) as refused:
        await ledger.hold(user, 2)
    assert (refused.value.code, refused.value.debt) == ("credits_owed", 4)


async def test_the_next_grant_pays_what_is_owed(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1")
    await ledger.settle(user, await ledger.hold(user, 4), 4)
    await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")

    await ledger.grant(user, 3)
    assert await ledger.sums(user) == (-1, 0, 1)
    await ledger.grant(user, 3)

    assert await ledger.sums(user) == (2, 0, 0)
    assert await ledger.spendable(user) == 2


async def test_no_more_is_taken_back_than_was_granted_less_what_expired(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1", days=1)
    await ledger.settle(user, await ledger.hold(user, 3), 3)
    await ledger.pass_by(user, days=1)
    await ledger.expire(user)

    assert await ledger.reverse(user, 2, source_reference="cs_1", reference="re_1")
    assert await ledger.reverse(user, 10, source_reference="cs_1", reference="re_2")
    assert not await ledger.reverse(user, 10, source_reference="cs_1", reference="re_3")

    assert await ledger.sums(user) == (-3, 0, 3)


async def test_what_was_taken_by_hand_is_not_taken_again_by_a_refund(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1", days=300)
    await ledger.adjust(user, -10, reference="ticket-1")

    assert not await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")

    assert await ledger.sums(user) == (0, 0, 0)


async def test_held_credits_of_a_refunded_lot_are_owed_until_they_come_back(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1")
    attempt_id = await ledger.hold(user, 4)

    await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")
    assert await ledger.sums(user) == (0, 4, 4)
    await ledger.settle(user, attempt_id, 0)

    assert await ledger.sums(user) == (0, 0, 4)
    assert await ledger.spendable(user) == 0


async def test_expiry_pays_what_is_owed_before_anything_is_lost(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, days=1)
    await ledger.grant(user, 5, reference="cs_1")
    await ledger.settle(user, await ledger.hold(user, 4), 4)
    await ledger.settle(user, await ledger.hold(user, 8), 8)
    await ledger.grant(user, 6, days=1)
    await ledger.reverse(user, 5, source_reference="cs_1", reference="re_1")
    assert await ledger.sums(user) == (4, 0, 2)

    await ledger.pass_by(user, days=2)

    assert await ledger.expire(user) == 4
    assert await ledger.sums(user) == (0, 0, 0)


async def test_a_dispute_that_was_won_gives_the_credits_back_once(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10, reference="cs_1", days=300)
    await ledger.settle(user, await ledger.hold(user, 4), 4)
    await ledger.reverse(user, 10, source_reference="cs_1", reference="dp_1")

    for expected in (True, False):
        async with ledger.database.transaction() as session:
            given = await service.restore_reversed(
                session, user.id, reversal_reference="dp_1", reference="dp_1 won", description="Won"
            )
        assert given is expected

    assert await ledger.sums(user) == (6, 0, 0)
    [[days]] = await ledger.run(
        "SELECT extract(day FROM expires_at - now()) FROM credit_lots WHERE source = 'returned'"
    )
    assert days in {299, 300}


async def test_what_was_never_taken_is_not_given_back(ledger: "Ledger") -> None:
    user = await ledger.user()

    async with ledger.database.transaction() as session:
        given = await service.restore_reversed(
            session, user.id, reversal_reference="dp_1", reference="dp_1 won", description="Won"
        )

    assert given is False


async def test_a_grant_of_somebody_else_cannot_be_taken_back(ledger: "Ledger") -> None:
    user, other = await ledger.user(), await ledger.user()
    await ledger.grant(other, 10, reference="cs_1")

    with pytest.raises(LotNotFoundError):
        await ledger.reverse(user, 10, source_reference="cs_1", reference="re_1")


async def test_adjustments_give_and_take_once_for_each_user_and_reference(ledger: "Ledger") -> None:
    user, other = await ledger.user(), await ledger.user()

    assert await ledger.adjust(user, 5, "ticket-1")
    assert await ledger.adjust(other, 5, "ticket-1")
    assert not await ledger.adjust(user, 5, "ticket-1")
    assert await ledger.adjust(user, -7, "ticket-2")
    assert not await ledger.adjust(user, -7, "ticket-2")

    assert await ledger.sums(user) == (-2, 0, 2)
    assert await ledger.entries(user) == [("adjusted", 5), ("adjusted", -5), ("adjusted", -2)]
    with pytest.raises(ValueError, match="zero"):
        await ledger.adjust(user, 0)


async def test_free_credits_are_given_once_for_each_verified_email(ledger: "Ledger") -> None:
    ana, twin = await ledger.user("ana@example.com"), await ledger.user(" ANA@example.com")
    unverified, nameless = await ledger.user("bob@example.com", verified=False), await ledger.user()

    async def ensure(user: object) -> None:
        async with ledger.database.transaction() as session:
            await service.ensure_account(session, user, ledger.plans)  # type: ignore[arg-type]  # a user each

    await asyncio.gather(*(ensure(user) for user in (ana, ana, twin, unverified, nameless) for _ in range(3)))

    assert sorted([await ledger.spendable(ana), await ledger.spendable(twin)]) == [0, 3]
    assert [await ledger.spendable(unverified), await ledger.spendable(nameless)] == [0, 0]
    assert await ledger.run("SELECT count(*) FROM free_credit_claims") == [(1,)]


async def test_another_email_of_the_same_user_gives_nothing_more(ledger: "Ledger") -> None:
    user = await ledger.user("ana@example.com")
    for email in ("ana@example.com", "ana@example.org"):
        user.email = email
        async with ledger.database.transaction() as session:
            await service.ensure_account(session, user, ledger.plans)

    assert await ledger.spendable(user) == 3
    assert await ledger.run("SELECT count(*) FROM free_credit_claims") == [(1,)]


async def test_one_of_many_starts_gets_the_last_credits(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 3)

    begun = await asyncio.gather(
        *(ledger.restore(user, denoise=share / 20) for share in range(12)), return_exceptions=True
    )

    assert sum(isinstance(one, uuid.UUID) for one in begun) == 1
    assert sum(isinstance(one, InsufficientCreditsError) for one in begun) == 11
    assert await ledger.run("SELECT count(*) FROM restore_attempts") == [(1,)]
    assert await ledger.run("SELECT count(*) FROM outbox") == [(1,)]


async def test_an_equal_request_that_runs_is_charged_once(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 2)

    begun = await asyncio.gather(*(ledger.restore(user) for _ in range(6)))

    assert len(set(begun)) == 1
    assert await ledger.sums(user) == (2, 2, 0)


@pytest.mark.parametrize(
    ("status", "unfulfilled", "charged"),
    [
        (COMPLETED, (), 4),
        (COMPLETED, ("colorize",), 2),
        (COMPLETED, ("prompt",), 4),
        (FAILED, (), 0),
        (CANCELLED, (), 0),
    ],
)
async def test_an_attempt_costs_what_it_brought(
    ledger: "Ledger", status: AttemptStatus, unfulfilled: tuple[str, ...], charged: int
) -> None:
    user = await ledger.user()
    await ledger.grant(user, 10)
    attempt_id = await ledger.restore(user, colourize=True)

    await ledger.observe(attempt_id, status, unfulfilled=unfulfilled)

    assert await ledger.run("SELECT credits, credits_charged FROM restore_attempts") == [(4, charged)]
    assert await ledger.sums(user) == (10 - charged, 0, 0)


async def test_prices_are_those_of_the_time_of_asking(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 10)
    attempt_id = await ledger.restore(user, colourize=True)
    ledger.plans = ledger.plans.model_copy(
        update={"costs": ledger.plans.costs.model_copy(update={"restore": 9, "restore_and_colourize": 9})}
    )

    await ledger.observe(attempt_id, COMPLETED, unfulfilled=("colorize",))

    assert await ledger.sums(user) == (8, 0, 0)


async def test_ends_that_race_spend_or_release_once(ledger: "Ledger") -> None:
    user = await ledger.user()
    await ledger.grant(user, 2)
    attempt_id = await ledger.restore(user)

    moved = await asyncio.gather(*(ledger.observe(attempt_id, status) for status in (COMPLETED, FAILED, CANCELLED) * 4))

    assert moved.count(True) == 1
    [[charged]] = await ledger.run("SELECT credits_charged FROM restore_attempts")
    assert await ledger.sums(user) == (2 - charged, 0, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_lots SET remaining = remaining - 1",
        "UPDATE credit_accounts SET held = held + 1",
        "UPDATE credit_accounts SET debt = debt + 1",
        "UPDATE credit_entries SET amount = 7",
        "DELETE FROM credit_entries",
    ],
)
async def test_the_database_refuses_what_does_not_add_up(ledger: "Ledger", statement: str) -> None:
    user = await ledger.user()
    await ledger.grant(user, 5)

    with pytest.raises(DBAPIError):
        await ledger.run(statement)

    assert await ledger.sums(user) == (5, 0, 0)


async def test_what_does_not_add_up_is_told_in_sentences(ledger: "Ledger") -> None:
    user, attempt_id = await ledger.user(), None
    await ledger.grant(user, 5)
    attempt_id = await ledger.restore(user)
    await ledger.run("UPDATE credit_holds SET credits = 1")

    async with ledger.database.transaction() as session:
        told = await service.check(session)
        assert await service.check(session, uuid.uuid4()) == []

    assert told == [
        f"user {user.id}: 2 credits are held, the open holds make 1",
        f"attempt {attempt_id}: the hold is of 1 credits, its parts make 2",
    ]
    await ledger.run("UPDATE credit_holds SET credits = 2, state = 'released', resolved_at = now()")
    told = await ledger.differences()
    assert f"attempt {attempt_id}: it is queued, its hold is released" in told
    await ledger.run("UPDATE credit_holds SET state = 'held', resolved_at = NULL")
