"""Animations become AnimationJobs by the same code as restorations: made, recorded, mended and swept."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.aio import client

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.service import delete_attempt
from rekindle_api.bridge.cluster import Cluster
from rekindle_api.bridge.relay import Relay
from rekindle_api.bridge.resources import MAX_START_SECONDS
from rekindle_api.outbox.models import AttemptKind
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_crds import GROUP, VERSION, Label, Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = pytest.mark.stack
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def _created(world: "World", attempt: Any) -> Any:
    """Have a bridge make the attempt's resource, and stop."""
    async with world.bridge():
        await world.created(attempt)
        await world.carried_out(attempt)
    return attempt


async def test_an_animation_of_an_original_names_the_object(world: "World") -> None:
    attempt = await _created(world, await world.animate())
    resource = await world.created(attempt)
    assert (resource["kind"], resource["metadata"]["name"]) == ("AnimationJob", f"a-{attempt.id.hex}")
    assert resource["metadata"]["labels"] == {
        Label.OWNER: str(attempt.owner_id),
        Label.PHOTO: str(attempt.job_id),
        Label.ATTEMPT: str(attempt.id),
    }
    spec = resource["spec"]
    assert spec["source"] == {"bucket": world.bucket, "key": attempt.source_key}
    assert spec["output"] == {"bucket": world.bucket, "prefix": attempt.output_prefix}
    assert (spec["animation"]["durationSeconds"], spec["animation"]["resolution"]) == (4, "480p")
    assert spec["startDeadlineSeconds"] == world.settings.start_deadline_seconds
    assert spec["activeDeadlineSeconds"] == world.settings.active_deadline_seconds


async def test_an_animation_names_the_restorejob_while_that_runs_and_the_object_afterwards(world: "World") -> None:
    async with world.bridge():
        restore = await world.restore()
        await world.created(restore)
        early = await world.animate(restore)
        resource = await world.created(early)
        assert resource["spec"]["source"] == {"restoreJobName": world.name(restore)}
        alone = world.settings.start_deadline_seconds
        assert alone < resource["spec"]["startDeadlineSeconds"] <= MAX_START_SECONDS
        result = world.result(restore)
        await world.report(restore, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(restore, "completed")
        waiting = await world.seen(early, "queued")
        assert waiting.source_key == row.result_key
        late = await world.animate(restore, source_key=row.result_key)
        resource = await world.created(late)
    assert resource["spec"]["source"] == {"bucket": world.bucket, "key": row.result_key}
    assert resource["spec"]["startDeadlineSeconds"] == alone


async def test_an_animation_whose_restoration_ended_without_a_result_gets_no_resource(world: "World") -> None:
    restore = await world.restore()
    animation = await world.animate(restore)
    await world.cancel(restore)
    row = await world.row(animation)
    assert row is not None
    assert (row.status, row.reason) == ("failed", "RestoreJobCancelled")
    async with world.bridge():
        await world.carried_out(animation)
    assert await world.resources() == []


async def test_a_restoration_that_kubernetes_does_not_accept_fails_its_animation(world: "World") -> None:
    photo = await world.photo()
    restore = await world.restore(photo, output_prefix=f"users/{photo.owner_id}")
    animation = await world.animate(restore)
    async with world.bridge():
        await world.seen(restore, "failed", "Invalid")
        row = await world.seen(animation, "failed", "RestoreJobFailed")
        await world.carried_out(animation)
        assert "(Invalid)" in (row.message or "")
    # It may have been made in the moment before; then nobody may go on waiting for it.
    await world.repair().repair()
    resource = await world.resource(animation)
    assert resource is None or resource["spec"]["cancel"] is True


async def test_progress_and_the_three_outputs_reach_the_animation(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate()
        await world.created(animation)
        await world.report(animation, world.running(45, stage="encode"))
        row = await world.seen(animation, "processing")
        assert (row.progress_percent, row.progress_stage) == (45, "encode")
        result = world.result(animation)
        await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=result))
        row = await world.seen(animation, "completed")
    keys = {str(output.name): output.key for output in result.outputs}
    assert (row.result_key, row.preview_key, row.thumbnail_key, row.manifest_key) == (
        keys["Result"],
        keys["Preview"],
        keys["Poster"],
        result.manifest_key,
    )


async def test_a_failed_and_a_cancelled_animationjob_end_their_attempts(world: "World") -> None:
    async with world.bridge():
        failing, cancelled = await world.animate(), await world.animate()
        for attempt in (failing, cancelled):
            await world.created(attempt)
            await world.carried_out(attempt)
        await world.cancel(cancelled)

        async def cancelling() -> bool:
            return (await world.created(cancelled))["spec"]["cancel"] is True

        await world.until(cancelling)
        await world.report(failing, world.ended(Phase.FAILED, "RestoreJobFailed", "There is nothing to animate."))
        await world.report(cancelled, world.ended(Phase.CANCELLED, "Cancelled"))
        row = await world.seen(failing, "failed")
        await world.seen(cancelled, "cancelled")
    assert (row.reason, row.message) == ("RestoreJobFailed", "There is nothing to animate.")


async def test_an_end_of_an_animation_that_nobody_watched_is_found(world: "World") -> None:
    animation = await _created(world, await world.animate())
    result = world.result(animation)
    await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=result))
    await world.repair().repair()
    row = await world.row(animation)
    assert row is not None
    assert (row.status, row.result_key) == ("completed", result.outputs[0].key)


async def test_an_animationjob_that_nobody_waits_for_is_cancelled(world: "World") -> None:
    animation = await world.animate()
    await world.cancel(animation)
    assert (await world.those_of(animation).create(world.wire(animation))).code == 200
    await world.repair().repair()
    assert (await world.created(animation))["spec"]["cancel"] is True


async def test_an_animation_whose_restoration_ended_is_cancelled_in_kubernetes_too(world: "World") -> None:
    restore = await world.restore()
    order = await world.order(restore)
    await world.change(order, parked_at=restore.created_at)
    animation = await world.animate(restore)
    relay = world.relay()
    async with world.database.transaction() as session:
        [claimed] = await OutboxRepository(session).claim(2, timedelta(minutes=1))
    await relay.carry_out(claimed)
    assert (await world.created(animation))["spec"]["source"] == {"restoreJobName": world.name(restore)}
    await world.cancel(restore)
    await world.repair().repair()
    assert (await world.created(animation))["spec"]["cancel"] is True
    assert (await world.seen(animation, "failed")).reason == "RestoreJobCancelled"


@pytest.mark.parametrize("kind", [RestoreAttempt, AnimationAttempt])
async def test_a_vanished_resource_whose_manifest_comes_late_is_not_lost(
    world: "World", kind: type[RestoreAttempt] | type[AnimationAttempt]
) -> None:
    attempt = await _created(world, await (world.restore() if kind is RestoreAttempt else world.animate()))
    async with world.bridge():
        await world.delete(attempt)
        await world.seen(attempt, "queued", "Vanished")
        result = world.result(attempt)
    await world.repair().repair()
    row = await world.row(attempt)
    assert row is not None
    assert (row.status, row.result_key) == ("completed", result.outputs[0].key)


async def test_a_vanished_animationjob_without_a_result_is_lost_when_its_pod_had_time_to_end(world: "World") -> None:
    animation = await _created(world, await world.animate())
    await world.delete(animation)
    await world.repair().repair()
    await world.seen(animation, "queued", "Vanished")
    await world.repair(grace_seconds=0).repair()
    await world.seen(animation, "failed", "Lost")


async def test_a_deleted_animation_goes_with_its_objects_and_its_resource(world: "World") -> None:
    photo = await world.photo()
    animation = await _created(world, await world.animate(photo=photo))
    result = world.result(animation)
    await world.report(animation, world.ended(Phase.SUCCEEDED, "Completed", result=result))
    await world.repair().repair()
    assert (await world.sweep().sweep()).resources == 0, "it is kept for a while"
    row = await world.seen(animation, "completed")
    await world.change(row, deleted_at=LONG_AGO)
    swept = await world.sweep(deletion_quiet_seconds=0, resource_retention_seconds=0).sweep()
    assert (swept.attempts, swept.resources, swept.failures) == (1, 1, 0)
    assert await world.row(animation) is None
    assert await world.resource(animation) is None
    assert world.keys(animation.output_prefix) == []
    assert len(world.keys()) == 2


async def test_a_restoration_that_is_being_animated_keeps_its_resource_and_its_result(world: "World") -> None:
    restore = await world.restore()
    async with world.bridge():
        await world.created(restore)
        animation = await world.animate(restore)
        await world.created(animation)
        await world.report(restore, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(restore)))
        row = await world.seen(restore, "completed")
        await world.change(row, deleted_at=LONG_AGO)
        settings = {"deletion_quiet_seconds": 0.0, "resource_retention_seconds": 0.0}
        swept = await world.sweep(**settings).sweep()
        assert (swept.attempts, swept.resources) == (0, 0)
        await world.report(animation, world.ended(Phase.FAILED, "EngineError"))
        await world.seen(animation, "failed")
    swept = await world.sweep(**settings).sweep()
    assert (swept.attempts, swept.resources, swept.failures) == (1, 2, 0)
    left = await world.row(animation)
    assert left is not None
    assert left.restore_id is None


@pytest.mark.parametrize("kind", AttemptKind)
async def test_a_result_is_looked_for_in_the_bucket_of_its_attempt(world: "World", kind: AttemptKind) -> None:
    attempt = await world.ask(kind)
    async with world.bridge():
        await world.created(attempt)
        world.storage.bucket = "another-bucket-since"
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        await world.seen(attempt, "completed")


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


async def test_what_the_operator_says_of_the_restoration_ends_the_animation(world: "World") -> None:
    async with world.bridge():
        animation = await world.animate(await world.restore())
        await world.created(animation)
        await world.report(animation, world.ended(Phase.FAILED, "RestoreJobFailed", "The RestoreJob failed."))
        row = await world.seen(animation, "failed")
    assert (row.reason, row.message) == ("RestoreJobFailed", "The RestoreJob failed.")


@asynccontextmanager
async def _parked(world: "World", attempt: AnimationAttempt, namespace: str) -> AsyncIterator[None]:
    """Run a relay for a namespace that there is not, from when it has set the attempt's order aside."""
    settings = world.settings.model_copy(update={"bridge_park_after": 1, "bridge_resume_seconds": 0.3})

    async def parked() -> bool:
        order = await world.order(attempt)
        return order is not None and order.parked_at is not None

    async with Cluster.connect(namespace, 10) as elsewhere:
        relay = Relay(world.database, elsewhere, world.recorder(), world.metrics, settings)
        running = asyncio.create_task(relay.run())
        try:
            await world.until(parked)
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_parked_order_is_carried_out_without_a_restart_once_its_cause_is_mended(world: "World") -> None:
    animation = await world.animate()
    namespace, core = f"later-{secrets.token_hex(4)}", client.CoreV1Api(world.objects.api_client)
    async with _parked(world, animation, namespace):
        await core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
        await world.carried_out(animation)
    made: Any = await world.objects.get_namespaced_custom_object(
        GROUP, VERSION, namespace, world.kind(animation).resource.plural, world.name(animation)
    )
    assert made["spec"]["source"]["key"] == animation.source_key
    await core.delete_namespace(namespace)


async def test_a_parked_order_fails_when_its_job_would_have_had_to_start(world: "World") -> None:
    animation = await world.animate()
    async with _parked(world, animation, "no-such-namespace"):
        await world.change(animation, created_at=LONG_AGO)
        row = await world.seen(animation, "failed", "StartDeadlineExceeded")
        await world.carried_out(animation)
    assert "no-such-namespace" in (row.message or "")


@pytest.mark.parametrize("kind", [RestoreAttempt, AnimationAttempt])
async def test_an_order_past_its_start_deadline_fails_with_the_last_answer(
    world: "World", kind: type[RestoreAttempt] | type[AnimationAttempt]
) -> None:
    attempt: Any = await (world.restore() if kind is RestoreAttempt else world.animate())
    order = await world.order(attempt)
    await world.change(order, attempts=12, parked_at=attempt.created_at, last_error="403: forbidden by quota")
    await world.change(attempt, created_at=LONG_AGO)
    async with world.bridge():
        row = await world.seen(attempt, "failed", "StartDeadlineExceeded")
        await world.carried_out(attempt)
    assert "403: forbidden by quota" in (row.message or "")
    assert await world.resources() == []


async def test_an_overdue_order_whose_resource_was_made_is_not_failed(world: "World") -> None:
    animation = await world.animate()
    assert (await world.those_of(animation).create(world.wire(animation))).code == 200
    await world.change(animation, created_at=LONG_AGO)
    async with world.bridge():
        await world.carried_out(animation)
        await world.seen(animation, "queued")
