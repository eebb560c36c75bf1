"""The bridge and the sweep, killed at each of their places: another takes over, and nothing is lost or doubled."""

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from tests.api import forked
from tests.api.fault_points import (
    CANCELLED_RESOURCE,
    COMPLETION,
    CREATION,
    EXPIRY,
    REFUSED_ORDER,
    SWEPT_ATTEMPT,
    SWEPT_PHOTO,
    around,
)

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.audit.models import AuditEntry
from rekindle_api.credits.models import CreditAccount, CreditHold
from rekindle_api.credits.service import adjust, check, hold
from rekindle_api.faults import Commit
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_crds import Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = [pytest.mark.stack, pytest.mark.slow]
COST = 2


async def dies(world: "World", point: str, command: str = "bridge", **environment: str) -> None:
    """Run a command until it kills itself there."""
    log = world.directory / f"doomed-{command}.log"
    process = forked.start(
        [command], {**os.environ, **world.environment, **environment, "REKINDLE_FAULT_POINT": point}, log
    )
    try:
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == -signal.SIGKILL, log.read_text()
    finally:
        process.kill()


async def paid(world: "World") -> RestoreAttempt:
    """Ask for a restoration that has reserved its credits."""
    attempt = await world.restore(credits=COST)
    async with world.database.transaction() as session:
        await adjust(session, attempt.owner_id, amount=10, reason="For tests", reference="tests")
        await hold(session, attempt.owner_id, attempt.id, COST, "Restoration")
    return attempt


async def settled(world: "World", attempt: RestoreAttempt, state: str, spent: int) -> bool:
    """Tell whether the credits of the attempt were settled once, and everything adds up."""
    async with world.database.transaction() as session:
        account = await session.get(CreditAccount, attempt.owner_id)
        held = await session.get(CreditHold, attempt.id)
        assert account is not None
        assert held is not None
        assert (held.state, account.held, account.balance) == (state, 0, 10 - spent)
        assert await check(session) == []
    return True


async def the_one_resource(world: "World", attempt: RestoreAttempt) -> dict[str, Any]:
    """Wait until nothing is ordered any more; return the only resource there is."""
    await world.carried_out(attempt)
    [resource] = await world.resources()
    assert resource["metadata"]["name"] == world.name(attempt)
    return resource


@pytest.mark.parametrize("point", CREATION)
async def test_an_order_that_was_begun_makes_one_resource(world: "World", point: str) -> None:
    attempt = await paid(world)

    await dies(world, point)

    async with world.bridge():
        await the_one_resource(world, attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        row = await world.seen(attempt, "completed")
    assert row.version == 2
    assert await settled(world, attempt, "captured", COST)


@pytest.mark.parametrize("point", REFUSED_ORDER)
async def test_an_order_that_was_being_put_off_makes_one_resource_once_the_cause_is_mended(
    world: "World", point: str
) -> None:
    attempt = await paid(world)
    tries = "1" if point in around(Commit.ORDER_PARKED) else "9"

    await dies(world, point, REKINDLE_NAMESPACE="no-such-namespace", BRIDGE_PARK_AFTER=tries)

    async with world.bridge():
        await the_one_resource(world, attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        await world.seen(attempt, "completed")
    assert await settled(world, attempt, "captured", COST)


@pytest.mark.parametrize("point", COMPLETION)
async def test_a_result_that_was_seen_is_recorded_and_charged_once(world: "World", point: str) -> None:
    attempt = await paid(world)
    async with world.bridge():
        await the_one_resource(world, attempt)
    await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))

    await dies(world, point)

    async with world.bridge():
        row = await world.seen(attempt, "completed")
        await world.repair().repair()
    assert row.version == 2
    assert await settled(world, attempt, "captured", COST)
    assert len(await world.resources()) == 1


@pytest.mark.parametrize("point", around(Commit.ATTEMPT_ADVANCED))
async def test_a_failure_that_was_seen_is_recorded_and_costs_nothing(world: "World", point: str) -> None:
    attempt = await paid(world)
    async with world.bridge():
        await the_one_resource(world, attempt)
    await world.report(attempt, world.ended(Phase.FAILED, "EngineError"))

    await dies(world, point)

    async with world.bridge():
        await world.seen(attempt, "failed")
    assert await settled(world, attempt, "released", 0)


@pytest.mark.parametrize("point", CANCELLED_RESOURCE)
async def test_a_cancellation_that_was_begun_is_carried_out_once(world: "World", point: str) -> None:
    attempt = await paid(world)
    async with world.bridge():
        await the_one_resource(world, attempt)
    await world.cancel(attempt)

    await dies(world, point)

    async with world.bridge():
        resource = await the_one_resource(world, attempt)
        assert resource["spec"]["cancel"] is True
        await world.report(attempt, world.ended(Phase.CANCELLED, "Cancelled"))
        await world.seen(attempt, "cancelled")
    assert await settled(world, attempt, "released", 0)


async def completed(world: "World") -> RestoreAttempt:
    attempt = await paid(world)
    async with world.bridge():
        await world.created(attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        await world.seen(attempt, "completed")
    return attempt


async def swept(world: "World") -> None:
    """Sweep to the end, in a process that lives."""
    log = world.directory / "sweep.log"
    process = forked.start(["sweep"], {**os.environ, **world.environment, "DELETION_QUIET_SECONDS": "0"}, log)
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == 0, log.read_text()


@pytest.mark.parametrize("point", SWEPT_PHOTO)
async def test_a_photo_whose_objects_are_gone_goes_with_the_next_sweep(world: "World", point: str) -> None:
    attempt = await completed(world)
    async with world.database.transaction() as session:
        photo = await session.get(Photo, attempt.job_id)
    assert photo is not None
    await world.change(photo, deleted_at=photo.created_at)

    await dies(world, point, "sweep", DELETION_QUIET_SECONDS="0")

    assert await world.row(attempt) is not None
    await swept(world)
    assert await world.row(attempt) is None
    assert world.keys(photo_prefix(photo.owner_id, photo.id)) == []
    async with world.database.transaction() as session:
        assert await session.get(Photo, photo.id) is None
    assert await settled(world, attempt, "captured", COST)


@pytest.mark.parametrize("point", SWEPT_ATTEMPT)
async def test_an_attempt_whose_objects_are_gone_goes_with_the_next_sweep(world: "World", point: str) -> None:
    attempt = await completed(world)
    await world.change(attempt, deleted_at=attempt.created_at)

    await dies(world, point, "sweep", DELETION_QUIET_SECONDS="0")

    await swept(world)
    assert await world.row(attempt) is None
    assert world.keys(f"{attempt.output_prefix}/") == []
    assert len(world.keys(photo_prefix(attempt.owner_id, attempt.job_id))) == 2, "the photo itself stays"


@pytest.mark.parametrize("point", EXPIRY)
async def test_a_photo_that_is_past_its_time_is_hidden_once(world: "World", point: str) -> None:
    photo = await world.photo()
    await world.change(photo, expires_at=photo.created_at)

    await dies(world, point, "sweep", DELETION_QUIET_SECONDS="0")

    await swept(world)
    async with world.database.transaction() as session:
        assert await session.get(Photo, photo.id) is None
        hidden = select(func.count()).where(AuditEntry.action == "photo.expired", AuditEntry.subject_id == photo.id)
        assert await session.scalar(hidden) == 1
    assert world.keys() == []
