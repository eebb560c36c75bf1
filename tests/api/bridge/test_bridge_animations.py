"""AnimationJobs go the way of RestoreJobs, there and back; one that waits for a restoration never waits for ever."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.service import delete_attempt
from rekindle_api.outbox.models import AttemptKind
from rekindle_crds import Label, Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = pytest.mark.stack
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_an_animation_of_the_original_becomes_a_resource_that_names_it(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate()
        resource = await world.created(animation)
        await world.carried_out(animation)
    assert (resource["kind"], resource["metadata"]["name"]) == ("AnimationJob", f"a-{animation.id.hex}")
    assert resource["metadata"]["labels"] == {
        Label.OWNER: str(animation.owner_id),
        Label.PHOTO: str(animation.job_id),
        Label.ATTEMPT: str(animation.id),
    }
    spec = resource["spec"]
    assert spec["source"] == {"bucket": world.bucket, "key": animation.source_key}
    assert spec["output"] == {"bucket": world.bucket, "prefix": animation.output_prefix}
    assert (spec["animation"]["style"], spec["animation"]["durationSeconds"]) == ("KenBurns", 4)
    assert spec["startDeadlineSeconds"] == world.settings.start_deadline_seconds


async def test_an_animation_of_a_running_restoration_names_its_resource_and_has_time_for_both(world: "World") -> None:
    restore = await world.restore()
    async with world.bridge():
        animation = await world.animate(restore)
        spec = (await world.created(animation))["spec"]
    assert spec["source"] == {"restoreJobName": f"r-{restore.id.hex}"}
    settings = world.settings
    assert spec["startDeadlineSeconds"] == 2 * settings.start_deadline_seconds + settings.active_deadline_seconds


async def test_an_animation_made_after_its_restoration_ended_needs_no_resource_of_that(world: "World") -> None:
    restore = await world.restore()
    animation = await world.animate(restore)
    # Nobody may make it before the restoration has ended.
    await world.change(await world.order(animation), available_at=datetime.now(UTC) + timedelta(days=1))
    async with world.bridge():
        await world.created(restore)
        result = world.result(restore)
        await world.report(restore, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        await world.seen(restore, "completed")
        await world.delete(restore)
        await world.change(await world.order(animation), available_at=datetime.now(UTC))
        spec = (await world.created(animation))["spec"]
    assert spec["source"] == {"bucket": world.bucket, "key": result.outputs[0].key}


async def test_progress_and_outputs_of_an_animation_reach_its_attempt(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate()
        await world.created(animation)
        await world.report(animation, world.running(30, "frames"))
        row = await world.seen(animation, "processing")
        assert (row.progress_percent, row.progress_stage) == (30, "frames")
        result = world.result(animation)
        await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(animation, "completed")
    keys = {str(output.name): output.key for output in result.outputs}
    assert (row.result_key, row.preview_key, row.thumbnail_key) == (keys["Result"], keys["Preview"], keys["Poster"])
    assert world.metrics.transitions.labels("animation", "completed")._value.get() == 1


async def test_what_the_operator_says_of_the_restoration_ends_the_animation(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate(await world.restore())
        await world.created(animation)
        await world.report(animation, world.ended(Phase.FAILED, "RestoreJobFailed", "The RestoreJob failed."))
        row = await world.seen(animation, "failed")
    assert (row.reason, row.message) == ("RestoreJobFailed", "The RestoreJob failed.")


async def test_an_animation_of_a_restoration_that_never_was_is_settled_and_its_resource_cancelled(
    world: "World",
) -> None:
    restore = await world.restore()
    await world.change(await world.order(restore), available_at=datetime.now(UTC) + timedelta(days=1))
    async with world.bridge():
        animation = await world.animate(restore)
        await world.created(animation)
        await world.carried_out(animation)
        await world.cancel(restore)
        row = await world.seen(animation, "failed")
    assert row.reason == "RestoreJobCancelled"
    assert await world.resource(restore) is None
    await world.repair().repair()
    assert (await world.created(animation))["spec"]["cancel"] is True
    row = await world.seen(animation, "failed")
    assert row.reason == "RestoreJobCancelled"


async def test_an_animation_of_a_restoration_that_kubernetes_refuses_fails_with_it(world: "World") -> None:
    photo = await world.photo()
    restore = await world.restore(photo, output_prefix=f"users/{photo.owner_id}")
    animation = await world.animate(restore)
    async with world.bridge():
        await world.seen(restore, "failed", "Invalid")
        row = await world.seen(animation, "failed")
    assert row.reason == "RestoreJobFailed"
    assert "Invalid" in (row.message or "")


async def test_a_cancelled_animation_is_cancelled_in_the_cluster(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate()
        await world.created(animation)
        await world.carried_out(animation)
        async with world.database.transaction() as session:
            await delete_attempt(session, AnimationAttempt, animation.owner_id, animation.job_id, animation.id)

        async def cancelling() -> bool:
            return (await world.created(animation))["spec"]["cancel"] is True

        await world.until(cancelling)
        await world.report(animation, world.ended(Phase.CANCELLED, "Cancelled"))
        await world.seen(animation, "cancelled")


@pytest.mark.parametrize("kind", AttemptKind)
async def test_the_repair_pass_finds_what_nobody_watched_in_each_kind(world: "World", kind: AttemptKind) -> None:
    ended, gone = await world.ask(kind), await world.ask(kind)
    async with world.bridge():
        for attempt in (ended, gone):
            await world.created(attempt)
            await world.carried_out(attempt)
    await world.report(ended, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(ended)))
    await world.delete(gone)
    await world.repair(grace_seconds=0).repair()
    assert (await world.seen(ended, "completed")).progress_percent == 100
    await world.seen(gone, "queued", "Vanished")
    await world.repair(grace_seconds=0).repair()
    row = await world.seen(gone, "failed", "Lost")
    assert world.kind(gone).resource.kind in (row.message or "")


@pytest.mark.parametrize("kind", AttemptKind)
async def test_a_result_is_looked_for_in_the_bucket_of_its_attempt(world: "World", kind: AttemptKind) -> None:
    attempt = await world.ask(kind)
    async with world.bridge():
        await world.created(attempt)
        world.storage.bucket = "another-bucket-since"
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        await world.seen(attempt, "completed")


@pytest.mark.parametrize("kind", AttemptKind)
async def test_an_order_older_than_its_start_deadline_fails_the_attempt(world: "World", kind: AttemptKind) -> None:
    late = await world.ask(kind)
    await world.change(late, created_at=LONG_AGO)
    await world.change(await world.order(late), last_error="403: no")
    async with world.bridge():
        row = await world.seen(late, "failed")
        await world.carried_out(late)
    assert row.reason == "StartDeadlineExceeded"
    assert "403: no" in (row.message or "")
    assert await world.resource(late) is None


async def test_an_old_order_whose_resource_was_made_leaves_the_end_to_that(world: "World") -> None:
    attempt = await world.restore()
    assert (await world.those_of(attempt).create(world.wire(attempt))).code == 200
    await world.change(attempt, created_at=LONG_AGO)
    async with world.bridge():
        await world.carried_out(attempt)
    await world.seen(attempt, "queued")


async def test_a_deleted_animation_goes_with_its_objects(world: "World") -> None:
    photo = await world.photo()
    animation = await world.animate(photo=photo)
    async with world.bridge():
        await world.created(animation)
        await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(animation)))
        await world.seen(animation, "completed")
    await world.change(animation, deleted_at=LONG_AGO)
    assert (await world.sweep().sweep()).attempts == 0, "the pod may still be writing"
    assert (await world.sweep(deletion_quiet_seconds=0).sweep()).attempts == 1
    assert await world.row(animation) is None
    assert world.keys(animation.output_prefix) == []
    assert len(world.keys()) == 2


async def test_the_resource_of_a_restoration_stays_as_long_as_an_animation_may_wait_for_it(world: "World") -> None:
    restore: RestoreAttempt = await world.restore()
    animation = await world.animate(restore)
    async with world.bridge():
        for attempt in (restore, animation):
            await world.created(attempt)
        await world.report(restore, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(restore)))
        await world.seen(restore, "completed")
        assert (await world.sweep(resource_retention_seconds=0).sweep()).resources == 0
        await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(animation)))
        await world.seen(animation, "completed")
    assert (await world.sweep(resource_retention_seconds=0).sweep()).resources == 2
