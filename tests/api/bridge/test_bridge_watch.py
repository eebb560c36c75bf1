"""What becomes of a RestoreJob reaches its attempt, in any order, through every interruption, and ends it once."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.bridge.cluster import ExpiredError
from rekindle_api.bridge.inbox import Inbox
from rekindle_api.bridge.resources import RESTORE
from rekindle_api.bridge.sightings import sighting_of
from rekindle_api.bridge.watch import ResourceWatch
from rekindle_api.outbox.models import AttemptKind
from rekindle_crds import Phase, Progress

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

    from rekindle_dev.controlplane import ControlPlane

pytestmark = pytest.mark.stack


async def _version(world: "World", attempt: RestoreAttempt) -> int:
    row = await world.row(attempt)
    assert row is not None
    return row.version


async def test_progress_and_result_reach_the_attempt(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        await world.report(attempt, world.running(30))
        row = await world.seen(attempt, "processing")
        assert (row.progress_percent, row.progress_stage) == (30, "denoise")
        assert row.started_at is not None
        result = world.result(attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(attempt, "completed")
    keys = {str(output.name): output.key for output in result.outputs}
    assert (row.result_key, row.preview_key, row.thumbnail_key, row.manifest_key) == (
        keys["Result"],
        keys["Preview"],
        keys["Thumbnail"],
        result.manifest_key,
    )
    assert row.progress_percent == 100
    assert row.warnings == ["no colour"]
    assert row.finished_at is not None


@pytest.mark.parametrize("kind", list(AttemptKind))
async def test_watermarked_copies_sizes_and_what_was_not_done_reach_the_attempt(
    world: "World", kind: AttemptKind
) -> None:
    ask = world.restore if kind is AttemptKind.RESTORE else world.animate
    async with world.bridge():
        attempt: Any = await ask(watermark=True)
        await world.created(attempt)
        result = world.result(attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(attempt, "completed")
    keys = {str(output.name): output.key for output in result.outputs}
    assert row.watermarked_result_key == keys["WatermarkedResult"]
    assert row.watermarked_preview_key == keys["WatermarkedPreview"]
    assert row.watermarked_thumbnail_key == (keys.get("Thumbnail") or keys["WatermarkedPoster"])
    assert row.stored_bytes == sum(output.bytes for output in result.outputs)
    assert row.unfulfilled == ["colorize"]


async def test_the_estimated_end_is_known_while_the_attempt_runs(world: "World") -> None:
    soon = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        running = world.running(30)
        progress = Progress(percent=30, stage="denoise", estimated_completion_time=soon)
        await world.report(attempt, running.model_copy(update={"progress": progress}))
        row = await world.seen(attempt, "processing")
        assert row.estimated_completion_at == soon
        await world.report(attempt, world.ended(Phase.FAILED, "EngineError"))
        row = await world.seen(attempt, "failed")
    assert row.estimated_completion_at is None


async def test_a_failure_keeps_reason_and_message(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        await world.report(attempt, world.ended(Phase.FAILED, "UnreadableImage", "The source is not an image."))
        row = await world.seen(attempt, "failed")
    assert (row.reason, row.message) == ("UnreadableImage", "The source is not an image.")


async def test_words_that_no_row_can_hold_still_end_the_attempt(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        await world.report(attempt, world.running(40, stage="de\0noise"))
        row = await world.seen(attempt, "processing")
        assert row.progress_stage == "de\ufffdnoise"
        await world.report(attempt, world.ended(Phase.FAILED, "EngineError", "broken\0pipe"))
        row = await world.seen(attempt, "failed")
    assert (row.reason, row.message) == ("EngineError", "broken\ufffdpipe")


@pytest.mark.parametrize("damage", ["no manifest", "no output", "short output", "foreign key", "not a manifest"])
async def test_a_result_that_is_not_whole_fails_the_attempt(world: "World", damage: str) -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        prefix = "users/somebody-else/photos/1" if damage == "foreign key" else None
        result = world.result(attempt, prefix)
        if damage == "no manifest":
            world.s3.delete_object(Bucket=world.bucket, Key=result.manifest_key)
        elif damage == "no output":
            world.s3.delete_object(Bucket=world.bucket, Key=result.outputs[1].key)
        elif damage == "short output":
            world.put(result.outputs[0].key, b"r")
        elif damage == "not a manifest":
            world.put(result.manifest_key, b"{")
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(attempt, "failed")
    assert row.reason == "ResultMissing"
    assert row.result_key is None


async def test_what_is_told_late_or_twice_changes_nothing(world: "World") -> None:
    recorder = world.recorder()
    attempt = await world.restore()
    async with world.bridge():
        await world.created(attempt)
        await world.carried_out(attempt)
    told = []
    for percent in (10, 20, 30):
        await world.report(attempt, world.running(percent))
        told.append(sighting_of(RESTORE, await world.created(attempt)))
    await world.report(attempt, world.ended(Phase.FAILED, "EngineError"))
    told.append(sighting_of(RESTORE, await world.created(attempt)))
    first, second, third, end = (sighting for sighting in told if sighting is not None)

    await recorder.record(second)
    version = await _version(world, attempt)
    for late in (first, second, first):
        await recorder.record(late)
    assert await _version(world, attempt) == version
    await recorder.record(third)
    assert await _version(world, attempt) == version + 1
    await recorder.record(end)
    for late in (first, end, third, end):
        await recorder.record(late)
    row = await world.row(attempt)
    assert row is not None
    assert (row.status, row.reason, row.version) == ("failed", "EngineError", version + 2)


async def test_a_resource_that_says_it_is_an_attempts_but_is_not_named_so_is_ignored(world: "World") -> None:
    async with world.bridge():
        attempt, other = await world.restore(), await world.restore()
        made = await world.created(attempt)
        copy = {
            "apiVersion": made["apiVersion"],
            "kind": made["kind"],
            "metadata": {**{key: made["metadata"][key] for key in ("namespace", "labels")}, "name": "copy"},
            "spec": made["spec"],
        }
        assert (await world.those_of(attempt).create(copy)).code == 200
        status = world.ended(Phase.FAILED, "EngineError").wire()
        await world.objects.patch_namespaced_custom_object_status(
            "rekindle.dev",
            "v1alpha1",
            world.namespace,
            "restorejobs",
            "copy",
            {"status": status},
            _content_type="application/merge-patch+json",
        )
        await world.created(other)
        await world.report(other, world.ended(Phase.FAILED, "EngineError"))
        await world.seen(other, "failed")
        await world.seen(attempt, "queued")


async def test_a_resource_deleted_before_its_end_is_settled_by_what_is_in_the_storage(world: "World") -> None:
    async with world.bridge():
        with_result, without, cancelled = [await world.restore() for _ in range(3)]
        for attempt in (with_result, without, cancelled):
            await world.created(attempt)
            await world.carried_out(attempt)
        world.result(with_result)
        await world.change(cancelled, cancel_requested_at=cancelled.created_at)
        for attempt in (with_result, without, cancelled):
            await world.delete(attempt)
        await world.seen(with_result, "completed")
        await world.seen(without, "queued", "Vanished")
        await world.seen(cancelled, "cancelled")


async def test_a_version_that_is_too_old_leads_to_a_new_list(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        await world.carried_out(attempt)
    with pytest.raises(ExpiredError):
        await anext(world.cluster.of(RESTORE).watch("1", 10))

    recorder = world.recorder()
    inbox = Inbox(recorder.record, world.metrics)
    watch = ResourceWatch(world.cluster.of(RESTORE), recorder, inbox, world.metrics, silence_seconds=10)
    watch._version = "1"
    loops = [asyncio.create_task(watch.run()), asyncio.create_task(inbox.work())]
    await world.report(attempt, world.running(20))
    await world.seen(attempt, "processing")
    assert watch.listed
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


@pytest.mark.slow
async def test_the_watch_goes_on_after_the_api_server_was_down(world: "World", control_plane: "ControlPlane") -> None:
    async with world.bridge():
        before = await world.restore()
        await world.created(before)
        await world.carried_out(before)
        control_plane.stop_component("kube-apiserver")
        try:
            during = await world.restore()

            async def postponed() -> bool:
                order = await world.order(during)
                return order is not None and order.last_error is not None

            await world.until(postponed)
        finally:
            control_plane.start_component("kube-apiserver")
        await world.created(during)
        for attempt in (before, during):
            await world.report(attempt, world.running(50))
            await world.seen(attempt, "processing")
