"""How an attempt changes state: a table of decisions, and races on one row."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from rekindle_api.attempts.models import AttemptStatus, RestoreAttempt
from rekindle_api.attempts.states import advance, cancel
from rekindle_api.attempts.transitions import Observation, ResultKeys, Standing, decide
from rekindle_api.outbox.repository import OutboxRepository

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

NOW = datetime(2026, 11, 23, tzinfo=UTC)
QUEUED, PROCESSING = AttemptStatus.QUEUED, AttemptStatus.PROCESSING
COMPLETED, FAILED, CANCELLED = AttemptStatus.COMPLETED, AttemptStatus.FAILED, AttemptStatus.CANCELLED
KEYS = ResultKeys(result="a/result.jpg", manifest="a/manifest.json")


@pytest.mark.parametrize("ended", [COMPLETED, FAILED, CANCELLED])
@pytest.mark.parametrize(
    "seen",
    [
        Observation(status=PROCESSING, progress_percent=99),
        Observation(status=FAILED, reason="Killed"),
        Observation(status=COMPLETED, keys=KEYS),
    ],
)
def test_an_attempt_that_ended_never_moves(ended: AttemptStatus, seen: Observation) -> None:
    assert decide(Standing(status=ended), seen, NOW) is None


@pytest.mark.parametrize("before", [QUEUED, PROCESSING])
def test_every_end_is_taken_from_every_open_state(before: AttemptStatus) -> None:
    for seen in (
        Observation(status=COMPLETED, keys=KEYS),
        Observation(status=FAILED, reason="Killed"),
        Observation(status=CANCELLED, reason="Cancelled"),
    ):
        change = decide(Standing(status=before), seen, NOW)
        assert change is not None
        assert change.finishes
        assert change.values["status"] == seen.status
        assert change.values["finished_at"] == NOW


def test_what_is_seen_twice_changes_nothing_the_second_time() -> None:
    standing = Standing(status=PROCESSING, progress_percent=40, progress_stage="repair", started_at=NOW)
    seen = Observation(status=PROCESSING, progress_percent=40, progress_stage="repair", started_at=NOW)

    assert decide(standing, seen, NOW) is None


def test_a_running_attempt_does_not_go_back_to_the_queue_when_it_is_retried() -> None:
    change = decide(Standing(status=PROCESSING), Observation(status=QUEUED, reason="Retrying"), NOW)

    assert change is not None
    assert change.values == {"reason": "Retrying"}


def test_a_completed_attempt_cannot_be_without_a_result() -> None:
    with pytest.raises(ValueError, match="result"):
        Observation(status=COMPLETED)
    with pytest.raises(ValueError, match="result"):
        Observation(status=FAILED, keys=KEYS)


@pytest.mark.stack
async def test_ends_that_race_leave_one_end(api: "Api", account: "Account", photo_bytes: "PhotoMaker") -> None:
    attempt_id = uuid.UUID(await account.restore(await account.photo(photo_bytes())))
    seen = [Observation(status=COMPLETED, keys=KEYS), Observation(status=FAILED, reason="Killed")] * 6

    async def end(observation: Observation) -> bool:
        async with api.app.state.database.transaction() as session:
            return await advance(session, RestoreAttempt, attempt_id, observation) is not None

    moved = await asyncio.gather(*(end(observation) for observation in seen))

    assert moved.count(True) == 1
    assert api.rows("SELECT version FROM restore_attempts") == [(2,)]


@pytest.mark.stack
async def test_a_cancel_that_races_with_the_bridges_claim_is_never_lost(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    ids = [uuid.UUID(await account.restore(photo_id, denoise=share / 20)) for share in range(10, 18)]
    claimed: list[uuid.UUID] = []

    async def claim() -> None:
        async with api.app.state.database.transaction() as session:
            entries = await OutboxRepository(session).claim(4, timedelta(minutes=1))
            claimed.extend(entry.attempt_id for entry in entries)

    async def stop(attempt_id: uuid.UUID) -> None:
        async with api.app.state.database.transaction() as session:
            await cancel(session, RestoreAttempt, attempt_id)

    await asyncio.gather(claim(), *(stop(attempt_id) for attempt_id in ids))

    desired = dict(api.rows("SELECT attempt_id, desired FROM outbox"))
    statuses = dict(api.rows("SELECT id, status FROM restore_attempts"))
    for attempt_id in ids:
        if attempt_id in claimed:
            assert (desired[attempt_id], statuses[attempt_id]) == ("cancel", "queued")
        else:
            assert (desired.get(attempt_id), statuses[attempt_id]) == (None, "cancelled")


@pytest.mark.stack
async def test_a_claimed_cancel_waits_for_the_create_that_is_under_way(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    attempt_id = uuid.UUID(await account.restore(await account.photo(photo_bytes())))
    database, lease = api.app.state.database, timedelta(minutes=1)
    async with database.transaction() as session:
        [create] = await OutboxRepository(session).claim(5, lease)
    async with database.transaction() as session:
        await cancel(session, RestoreAttempt, attempt_id)
    async with database.transaction() as session:
        assert await OutboxRepository(session).claim(5, lease) == []
        assert not await OutboxRepository(session).finish(create)
    async with database.transaction() as session:
        [order] = await OutboxRepository(session).claim(5, lease)
        assert (order.attempt_id, order.desired) == (attempt_id, "cancel")
        assert await OutboxRepository(session).finish(order)
    assert api.rows("SELECT 1 FROM outbox") == []
