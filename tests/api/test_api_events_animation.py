"""Event streams of animations, next to the restorations that they are made of."""

from typing import TYPE_CHECKING

import httpx
import pytest

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack


async def test_a_stream_tells_of_an_animation_up_to_its_video(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        assert (await stream.next()).data == {"job_id": photo_id, "attempts": [], "animations": []}

        animation_id = await account.animate(photo_id)
        queued = await stream.next()
        assert (queued.name, queued.data["animation_id"]) == ("animation_progress", animation_id)
        assert "restore_id" not in queued.data
        await api.observe(animation_id, AnimationAttempt, status=AttemptStatus.PROCESSING, progress_percent=20)
        running = await stream.next()
        assert (running.name, running.data["percent"]) == ("animation_progress", 20)

        await api.complete_animation(animation_id)
        end = await stream.next()
    assert (end.name, end.id) == ("animation_completed", f"{animation_id}:3")
    assert (end.data["animation_id"], end.data["status"]) == (animation_id, "completed")
    async with httpx.AsyncClient(timeout=60) as browser:
        video = await browser.get(end.data["video_url"])
    assert video.content == b"result.mp4"
    assert video.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(AttemptStatus.FAILED, "RestoreJobFailed"), (AttemptStatus.CANCELLED, "RestoreJobCancelled")],
)
async def test_a_restoration_without_a_result_ends_two_things_in_a_stream(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", status: AttemptStatus, reason: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    animation_id = await account.animate(photo_id, restore_id)
    async with account.following(photo_id) as stream:
        snapshot = await stream.next()
        assert [item["animation_id"] for item in snapshot.data["animations"]] == [animation_id]

        await api.observe(restore_id, status=status, reason="UnreadableImage")

        ends = {event.name: event.data for event in [await stream.next(), await stream.next()]}
    assert ends["completed"]["restore_id"] == restore_id
    failed = ends["animation_failed"]
    assert (failed["animation_id"], failed["status"], failed["reason"]) == (animation_id, "failed", reason)
    assert failed["error"] == failed["message"]
    assert status in failed["error"]


async def test_who_connects_late_is_told_the_last_end_of_each_kind(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    earlier = await account.animate(photo_id, durationSeconds=2)
    await api.complete_animation(earlier)
    restore_id = await account.restore(photo_id)
    await api.complete(restore_id)
    animation_id = await account.animate(photo_id, restore_id)
    await api.complete_animation(animation_id)

    async with account.following(photo_id) as stream:
        assert [item["animation_id"] for item in (await stream.next()).data["animations"]] == [earlier, animation_id]
        first, second = await stream.next(), await stream.next()
    assert (first.name, first.data["restore_id"]) == ("completed", restore_id)
    assert (second.name, second.data["animation_id"]) == ("animation_completed", animation_id)
    assert first.id is not None
    assert second.id is not None

    async with account.following(photo_id, **{"Last-Event-ID": first.id}) as stream:
        assert (await stream.next()).name == "snapshot"
        assert (await stream.next()).id == second.id
    async with account.following(photo_id, **{"Last-Event-ID": second.id}) as stream:
        assert (await stream.next()).name == "snapshot"
        another = await account.animate(photo_id)
        assert (await stream.next()).data["animation_id"] == another


async def test_no_end_is_told_again_while_an_animation_runs(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    await api.complete(restore_id)
    animation_id = await account.animate(photo_id, restore_id)

    async with account.following(photo_id) as stream:
        assert (await stream.next()).data["attempts"][0]["status"] == "completed"
        await api.observe(animation_id, AnimationAttempt, status=AttemptStatus.PROCESSING, progress_percent=1)
        assert (await stream.next()).name == "animation_progress"
