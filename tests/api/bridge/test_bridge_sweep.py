"""The sweep deletes what is over, objects before rows, and a second one finds nothing to do."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.credits.models import CreditHold, LotSource
from rekindle_api.credits.service import Grant, grant
from rekindle_api.database import new_id
from rekindle_api.photos.models import Photo, photo_prefix
from rekindle_crds import Phase

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = pytest.mark.stack
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def _photo(world: "World", photo: Photo) -> Photo | None:
    async with world.database.transaction() as session:
        return await session.get(Photo, photo.id)


async def _completed(world: "World", photo: Photo | None = None) -> RestoreAttempt:
    attempt = await world.restore(photo)
    async with world.bridge():
        await world.created(attempt)
        await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        await world.seen(attempt, "completed")
    return attempt


async def test_a_deleted_photo_goes_with_its_objects_and_attempts(world: "World") -> None:
    photo, kept = await world.photo(), await world.photo()
    attempt = await _completed(world, photo)
    await world.change(photo, deleted_at=LONG_AGO)

    swept = await world.sweep().sweep()
    assert (swept.photos, swept.failures) == (0, 0), "the pod may still be writing"
    swept = await world.sweep(deletion_quiet_seconds=0).sweep()
    assert (swept.photos, swept.failures) == (1, 0)
    assert await _photo(world, photo) is None
    assert await world.row(attempt) is None
    assert world.keys(photo_prefix(photo.owner_id, photo.id)) == []
    assert len(world.keys(photo_prefix(kept.owner_id, kept.id))) == 2
    assert await _photo(world, kept) is not None
    again = await world.sweep(deletion_quiet_seconds=0).sweep()
    assert (again.photos, again.abandoned, again.resources, again.failures) == (0, 0, 0, 0)


async def test_a_photo_that_is_worked_on_stays_until_the_attempt_has_ended(world: "World") -> None:
    photo = await world.photo()
    attempt = await world.restore(photo)
    async with world.bridge():
        await world.created(attempt)
        await world.change(photo, deleted_at=LONG_AGO)
        await world.cancel(attempt)
        swept = await world.sweep(deletion_quiet_seconds=0).sweep()
        assert swept.photos == 0
        assert len(world.keys()) == 2
        await world.report(attempt, world.ended(Phase.CANCELLED, "Cancelled"))
        await world.seen(attempt, "cancelled")
    swept = await world.sweep(deletion_quiet_seconds=0).sweep()
    assert swept.photos == 1
    assert world.keys() == []


async def test_a_deleted_attempt_goes_without_its_photo(world: "World") -> None:
    photo = await world.photo()
    deleted, kept = await _completed(world, photo), await _completed(world, photo)
    await world.change(deleted, deleted_at=LONG_AGO)
    reader = await world.restore(photo, source_restore_id=deleted.id)
    assert (await world.sweep(deletion_quiet_seconds=0).sweep()).attempts == 0, "its result is being read"
    await world.cancel(reader)
    assert (await world.sweep(deletion_quiet_seconds=0).sweep()).attempts == 1
    assert await world.row(deleted) is None
    assert world.keys(deleted.output_prefix) == []
    assert len(world.keys(kept.output_prefix)) == 4
    assert await _photo(world, photo) is not None


async def test_an_abandoned_upload_goes_with_its_objects_and_parts(world: "World") -> None:
    owner = await world.photo()
    uploads = []
    for age in (timedelta(hours=2), timedelta(minutes=5)):
        photo_id = new_id()
        key = f"{photo_prefix(owner.owner_id, photo_id)}original"
        async with world.database.transaction() as session:
            upload = Photo(id=photo_id, owner_id=owner.owner_id, bucket=world.bucket, original_key=key)
            upload.created_at = datetime.now(UTC) - age
            session.add(upload)
        world.put(key, b"abc")
        world.s3.create_multipart_upload(Bucket=world.bucket, Key=key)
        uploads.append(upload)
    abandoned, busy = uploads

    swept = await world.sweep().sweep()
    assert (swept.abandoned, swept.photos, swept.failures) == (1, 0, 0), "its request may end at this moment"
    await world.change(abandoned, deleted_at=LONG_AGO)
    swept = await world.sweep().sweep()
    assert (swept.abandoned, swept.photos, swept.failures) == (0, 1, 0)
    assert await _photo(world, abandoned) is None
    assert await _photo(world, busy) is not None
    assert world.keys(abandoned.original_key) == []
    assert world.keys(busy.original_key) != []
    parts = world.s3.list_multipart_uploads(Bucket=world.bucket).get("Uploads", [])
    assert [part["Key"] for part in parts] == [busy.original_key]


async def test_an_upload_that_was_hidden_under_way_is_kept_in_mind_until_it_must_have_ended(world: "World") -> None:
    owner = (await world.photo()).owner_id
    photo_id = new_id()
    key = f"{photo_prefix(owner, photo_id)}original"
    async with world.database.transaction() as session:
        upload = Photo(id=photo_id, owner_id=owner, bucket=world.bucket, original_key=key)
        upload.deleted_at = datetime.now(UTC)
        session.add(upload)

    assert (await world.sweep(deletion_quiet_seconds=0).sweep()).photos == 0
    world.put(key, b"abc")
    await world.change(upload, deleted_at=datetime.now(UTC) - timedelta(hours=2))

    assert (await world.sweep(deletion_quiet_seconds=0).sweep()).photos == 1
    assert await _photo(world, upload) is None
    assert world.keys(key) == []


async def test_a_resource_goes_a_day_after_its_attempt_ended(world: "World") -> None:
    old, fresh = await _completed(world), await _completed(world)
    running = await world.restore()
    async with world.bridge():
        await world.created(running)
        await world.carried_out(running)
    await world.change(old, updated_at=datetime.now(UTC) - timedelta(hours=25))
    swept = await world.sweep().sweep()
    assert (swept.resources, swept.failures) == (1, 0)
    assert await world.resource(old) is None
    assert await world.resource(fresh) is not None
    assert await world.resource(running) is not None
    row = await world.row(old)
    assert row is not None
    assert row.status == "completed"
    assert (await world.sweep().sweep()).resources == 0


async def test_a_resource_without_a_row_goes_when_it_is_old_enough(world: "World") -> None:
    photo = await world.photo()
    attempt = await _completed(world, photo)
    await world.change(photo, deleted_at=LONG_AGO)
    await world.sweep(deletion_quiet_seconds=0).sweep()
    assert await world.row(attempt) is None
    assert await world.resource(attempt) is not None
    assert (await world.sweep(resource_retention_seconds=0).sweep()).resources == 1


def _lines(world: "World", status: int) -> dict[str, str]:
    """Run the command to its end; return what it says of each pass, by the first word."""
    process = world.start("sweep")
    assert process.wait(60) == status
    lines = (line.partition(" ") for line in world.said(process, "sweep").splitlines())
    return {word: rest for word, _, rest in lines}


@pytest.mark.slow
async def test_the_command_prints_a_line_for_each_pass_and_tells_of_what_is_left(world: "World") -> None:
    photo = await world.photo()
    await world.change(photo, deleted_at=LONG_AGO)
    assert _lines(world, 0)["swept"] == "abandoned_uploads=0 photos=1 attempts=0 resources=0 failures=0"
    await world.change(await world.photo(), deleted_at=LONG_AGO, bucket="no-such-bucket")
    assert _lines(world, 1)["swept"].endswith("failures=1")


@pytest.mark.slow
async def test_the_command_writes_expired_credits_off_and_checks_the_ledger(world: "World") -> None:
    photo = await world.photo()
    async with world.database.transaction() as session:
        await grant(session, Grant(photo.owner_id, LotSource.TOP_UP, "cs_1", 5, LONG_AGO, "A pack"))

    said = _lines(world, 0)
    assert (said["expired"], said["checked"]) == ("credits=5 users=1 failures=0", "ledger differences=0")

    async with world.database.transaction() as session:
        session.add(CreditHold(attempt_id=new_id(), user_id=photo.owner_id, credits=2, description="Restoration"))
    said = _lines(world, 1)
    assert (said["expired"], said["checked"]) == ("credits=0 users=0 failures=0", "ledger differences=3")
