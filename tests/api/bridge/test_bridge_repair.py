"""The comparison of open attempts with live resources mends what no event told."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.bridge.resources import RESTORE
from rekindle_api.bridge.sightings import sighting_of
from rekindle_crds import Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = pytest.mark.stack


@pytest.fixture
async def created(world: "World") -> RestoreAttempt:
    """An attempt whose resource was made, and nothing ordered for it any more. No bridge runs."""
    attempt = await world.restore()
    async with world.bridge():
        await world.created(attempt)
        await world.carried_out(attempt)
    return attempt


async def test_an_end_that_nobody_watched_is_found(world: "World", created: RestoreAttempt) -> None:
    result = world.result(created)
    await world.report(created, world.ended(Phase.SUCCEEDED, "Completed", result=result))
    await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    assert (row.status, row.result_key) == ("completed", result.outputs[0].key)


async def test_a_vanished_resource_with_a_manifest_is_a_completed_attempt(
    world: "World", created: RestoreAttempt
) -> None:
    world.result(created)
    await world.delete(created)
    await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    assert row.status == "completed"


async def test_a_vanished_resource_without_a_manifest_is_lost_when_its_pod_had_time_to_end_and_never_made_again(
    world: "World", created: RestoreAttempt
) -> None:
    await world.delete(created)
    for _ in range(2):
        await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    assert (row.status, row.reason) == ("queued", "Vanished")
    await world.repair(grace_seconds=0).repair()
    row = await world.row(created)
    assert row is not None
    assert (row.status, row.reason) == ("failed", "Lost")
    async with world.bridge():
        await world.created(await world.restore())
    assert await world.resource(created) is None


async def test_a_pod_that_ends_its_work_after_its_resource_vanished_delivers(
    world: "World", created: RestoreAttempt
) -> None:
    await world.delete(created)
    await world.repair().repair()
    result = world.result(created)
    await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    assert (row.status, row.result_key) == ("completed", result.outputs[0].key)


async def test_an_attempt_that_cannot_be_written_keeps_no_other_from_its_turn(
    world: "World", created: RestoreAttempt
) -> None:
    other = await world.restore()
    async with world.bridge():
        await world.created(other)
        await world.carried_out(other)
    world.result(created)
    key = f"{created.output_prefix}/manifest.json"
    manifest = world.s3.get_object(Bucket=world.bucket, Key=key)["Body"].read()
    world.put(key, manifest.replace(b"2026-01-01T00:00:00Z", b"0001-01-01T00:00:00+14:00"))
    for attempt in (created, other):
        await world.delete(attempt)
    for _ in range(2):
        await world.repair(grace_seconds=0).repair()
    row = await world.row(other)
    assert row is not None
    assert (row.status, row.reason) == ("failed", "Lost")


async def test_an_attempt_whose_order_still_waits_is_left_alone(world: "World") -> None:
    attempt = await world.restore()
    await world.repair().repair()
    row = await world.row(attempt)
    assert row is not None
    assert (row.status, row.version) == ("queued", 1)
    async with world.bridge():
        await world.created(attempt)


async def test_a_resource_that_came_after_its_attempt_was_settled_is_cancelled(world: "World") -> None:
    attempt = await world.restore()
    await world.cancel(attempt)
    late = await world.those_of(attempt).create(world.wire(attempt))
    assert late.code == 200
    await world.repair().repair()
    assert (await world.created(attempt))["spec"]["cancel"] is True
    row = await world.row(attempt)
    assert row is not None
    assert row.status == "cancelled"


async def test_a_status_that_this_version_cannot_read_ends_nothing(world: "World", created: RestoreAttempt) -> None:
    status = world.ended(Phase.FAILED, "EngineError").wire()
    await world.report(created, world.running(10))
    made = await world.created(created)
    made["status"]["conditions"] = status["conditions"]
    made["status"]["phase"] = "Dreaming"
    sighting = sighting_of(RESTORE, made)
    assert sighting is not None
    await world.recorder().record(sighting)
    row = await world.row(created)
    assert row is not None
    assert row.status == "queued"


async def test_a_pass_over_what_is_all_right_writes_nothing(world: "World", created: RestoreAttempt) -> None:
    await world.report(created, world.running(40))
    await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    before = row.version, row.updated_at
    await world.repair().repair()
    row = await world.row(created)
    assert row is not None
    assert (row.version, row.updated_at) == before
    assert row.updated_at < datetime.now(UTC)
