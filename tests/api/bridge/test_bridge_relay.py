"""Orders of the outbox become RestoreJobs: once, whoever is killed where."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from rekindle_api.bridge.cluster import Cluster
from rekindle_api.bridge.relay import Relay
from rekindle_api.outbox.models import AttemptKind
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_crds import Label, Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = pytest.mark.stack


async def test_an_order_becomes_a_resource_with_labels_and_deadlines(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        resource = await world.created(attempt)
        await world.carried_out(attempt)
    assert resource["metadata"]["name"] == f"r-{attempt.id.hex}"
    assert resource["metadata"]["labels"] == {
        Label.OWNER: str(attempt.owner_id),
        Label.PHOTO: str(attempt.job_id),
        Label.ATTEMPT: str(attempt.id),
    }
    spec = resource["spec"]
    assert spec["source"] == {"bucket": world.bucket, "key": attempt.source_key}
    assert spec["output"] == {"bucket": world.bucket, "prefix": attempt.output_prefix}
    assert spec["restore"]["denoise"] == 40
    assert spec["startDeadlineSeconds"] == world.settings.start_deadline_seconds
    assert spec["activeDeadlineSeconds"] == world.settings.active_deadline_seconds
    assert "ttlSecondsAfterSucceeded" not in spec
    assert "ttlSecondsAfterFailed" not in spec


@pytest.mark.parametrize("kind", list(AttemptKind))
async def test_the_tiers_terms_become_priority_and_watermark_of_the_resource(world: "World", kind: AttemptKind) -> None:
    settings = world.settings.model_copy(update={"watermark_text": "Family archive"})
    async with world.bridge(settings):
        plain = await world.ask(kind)
        ask = world.restore if kind is AttemptKind.RESTORE else world.animate
        marked = await ask(watermark=True, priority=50)
        specs = [(await world.created(attempt))["spec"] for attempt in (plain, marked)]
    name = "restore" if kind is AttemptKind.RESTORE else "animation"
    assert [spec[name].get("watermark") for spec in specs] == [None, "Family archive"]
    assert [spec["priority"] for spec in specs] == [0, 50]


async def test_racing_bridges_create_each_resource_once(world: "World") -> None:
    attempts = [await world.restore() for _ in range(12)]
    patient = world.settings.model_copy(update={"bridge_claim_seconds": 60.0})
    async with world.bridge(patient), world.bridge(patient), world.bridge(patient):
        for attempt in attempts:
            await world.carried_out(attempt)
    made = await world.resources()
    assert sorted(item["metadata"]["name"] for item in made) == sorted(world.name(attempt) for attempt in attempts)
    assert world.metrics.orders.labels("restore", "create", "done")._value.get() == len(attempts)


async def test_a_kill_between_the_request_and_the_end_of_the_order_makes_no_second_resource(world: "World") -> None:
    attempt = await world.restore()
    async with world.database.transaction() as session:
        await OutboxRepository(session).claim(1, timedelta(seconds=0.5))
    # All that a process leaves that is killed here: the resource, and an order that is still claimed.
    first = await world.those_of(attempt).create(world.wire(attempt))
    assert first.resource is not None
    async with world.bridge():
        await world.carried_out(attempt)
    assert (await world.created(attempt))["metadata"]["uid"] == first.resource["metadata"]["uid"]
    assert len(await world.resources()) == 1


async def test_what_the_api_server_calls_invalid_fails_the_attempt_with_its_words(world: "World") -> None:
    photo = await world.photo()
    attempt = await world.restore(photo, output_prefix=f"users/{photo.owner_id}")
    async with world.bridge():
        row = await world.seen(attempt, "failed")
        await world.carried_out(attempt)
    assert row.reason == "Invalid"
    assert "source must not lie under output.prefix" in (row.message or "")
    assert row.finished_at is not None
    assert await world.resources() == []


async def test_a_row_that_no_resource_can_carry_fails_the_attempt(world: "World") -> None:
    attempt = await world.restore(parameters={"denoise": 400})
    async with world.bridge():
        row = await world.seen(attempt, "failed")
    assert row.reason == "Invalid"
    assert "denoise" in (row.message or "")


async def test_a_name_that_somebody_else_uses_fails_the_attempt_and_leaves_theirs_alone(world: "World") -> None:
    attempt = await world.restore()
    theirs = {
        "apiVersion": "rekindle.dev/v1alpha1",
        "kind": "RestoreJob",
        "metadata": {"name": world.name(attempt), "namespace": world.namespace},
        "spec": {
            "source": {"bucket": world.bucket, "key": "a"},
            "output": {"bucket": world.bucket, "prefix": "b"},
        },
    }
    assert (await world.those_of(attempt).create(theirs)).code == 200
    async with world.bridge():
        row = await world.seen(attempt, "failed")
    assert row.reason == "NameTaken"
    assert "rekindle.dev/attempt" not in ((await world.created(attempt))["metadata"].get("labels") or {})


async def test_a_cancel_before_the_bridge_came_is_settled_in_the_row(world: "World") -> None:
    attempt = await world.restore()
    await world.cancel(attempt)
    row = await world.row(attempt)
    assert row is not None
    assert row.status == "cancelled"
    assert await world.order(attempt) is None
    async with world.bridge():
        later = await world.restore()
        await world.created(later)
    assert await world.resource(attempt) is None


async def test_a_cancel_of_an_order_that_never_got_through_is_settled_by_the_bridge(world: "World") -> None:
    attempt = await world.restore()
    async with world.database.transaction() as session:
        await OutboxRepository(session).claim(1, timedelta(seconds=0.1))
    await world.cancel(attempt)
    row = await world.row(attempt)
    assert row is not None
    assert row.status == "queued"
    async with world.bridge():
        await world.seen(attempt, "cancelled")
        await world.carried_out(attempt)
    assert await world.resource(attempt) is None


async def test_a_cancel_after_creation_is_passed_on_and_the_attempt_ends_with_the_resource(world: "World") -> None:
    async with world.bridge():
        attempt = await world.restore()
        await world.created(attempt)
        await world.carried_out(attempt)
        await world.cancel(attempt)

        async def cancelling() -> bool:
            return (await world.created(attempt))["spec"]["cancel"] is True

        await world.until(cancelling)
        row = await world.row(attempt)
        assert row is not None
        assert row.status == "queued"
        await world.report(attempt, world.ended(Phase.CANCELLED, "Cancelled", "Cancelled by spec.cancel."))
        row = await world.seen(attempt, "cancelled")
    assert row.reason == "Cancelled"


async def test_refusals_set_an_order_aside_until_the_bridge_starts_again(world: "World") -> None:
    settings = world.settings.model_copy(update={"bridge_park_after": 2})
    attempt = await world.restore()

    async def parked() -> bool:
        order = await world.order(attempt)
        return order is not None and order.parked_at is not None

    async with Cluster.connect("no-such-namespace", 10) as elsewhere:
        relay = Relay(world.database, elsewhere, world.recorder(), world.metrics, settings)
        running = asyncio.create_task(relay.run())
        await world.until(parked)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    order = await world.order(attempt)
    assert order is not None
    assert "no-such-namespace" in (order.last_error or "")
    row = await world.row(attempt)
    assert row is not None
    assert row.status == "queued"
    async with world.bridge():
        await world.created(attempt)
        await world.carried_out(attempt)


async def test_an_order_that_was_set_aside_can_be_cancelled(world: "World") -> None:
    attempt = await world.restore()
    order = await world.order(attempt)
    await world.change(order, attempts=5, parked_at=attempt.created_at)
    await world.cancel(attempt)
    async with world.bridge():
        await world.seen(attempt, "cancelled")
    assert await world.resource(attempt) is None


async def test_a_lost_database_connection_is_made_anew(world: "World") -> None:
    async with world.bridge():
        with psycopg.connect(world.database_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        attempt = await world.restore()
        await world.created(attempt)
        await world.carried_out(attempt)
