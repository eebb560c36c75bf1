"""Asking for animations: what each is made of, how it waits for a restoration, and how clients see it."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack


def _row(api: "Api", animation_id: str) -> dict[str, Any]:
    names = ("status", "source_key", "restore_id::text", "reason", "message", "parameters", "requested")
    [row] = api.rows(f"SELECT {', '.join(names)} FROM animation_attempts WHERE id = %s", animation_id)  # noqa: S608 - ours
    return dict(zip((name.partition(":")[0] for name in names), row, strict=True))


@pytest.mark.parametrize("path", ["/api/v1/photos/{}/animate", "/api/v1/jobs/{}/animate"])
async def test_an_animation_without_a_restoration_is_made_of_the_original(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", path: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id))
    params = {"prompt": "a gentle smile", "resolution": "480p"}

    reply = await account.http.post(path.format(photo_id), json={"model": "video", "params": params})

    assert reply.status_code == 202, reply.text
    accepted = reply.json()
    assert (accepted["job_id"], accepted["status"]) == (photo_id, "queued")
    row = _row(api, accepted["id"])
    [[original]] = api.rows("SELECT original_key FROM photos")
    assert (row["source_key"], row["restore_id"]) == (original, None)
    assert row["requested"] == params
    expected = {"style": "KenBurns", "resolution": "480p", "prompt": "a gentle smile", "format": "MP4"}
    assert {name: row["parameters"].get(name) for name in expected} == expected
    orders = api.rows("SELECT attempt_id::text, desired FROM outbox WHERE kind = 'animation'")
    assert orders == [(accepted["id"], "create")]
    assert api.rows("SELECT action FROM audit_logs WHERE subject_id = %s", accepted["id"]) == [("animation.requested",)]


async def test_an_animation_of_a_finished_restoration_is_made_of_its_result(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    key = await api.complete(restore_id)

    row = _row(api, await account.animate(photo_id, restore_id))

    assert (row["source_key"], row["restore_id"]) == (key, restore_id)


async def test_an_animation_of_a_running_restoration_gets_the_result_when_there_is_one(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    animation_id = await account.animate(photo_id, restore_id)
    waiting = _row(api, animation_id)
    assert (waiting["status"], waiting["source_key"]) == ("queued", None)

    key = await api.complete(restore_id)

    told = _row(api, animation_id)
    assert (told["status"], told["source_key"]) == ("queued", key)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(AttemptStatus.FAILED, "RestoreJobFailed"), (AttemptStatus.CANCELLED, "RestoreJobCancelled")],
)
async def test_an_animation_that_waits_fails_with_its_restoration(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", status: AttemptStatus, reason: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    waiting = await account.animate(photo_id, restore_id)
    of_the_original = await account.animate(photo_id)

    await api.observe(restore_id, status=status, reason="UnreadableImage")

    row = _row(api, waiting)
    assert (row["status"], row["reason"]) == ("failed", reason)
    assert status in row["message"]
    assert _row(api, of_the_original)["status"] == "queued"
    reply = await account.ask_for_animation(photo_id, {"restore_id": restore_id})
    assert (reply.status_code, reply.json()["code"]) == (409, "restore_without_result")


async def test_a_restoration_deleted_before_anybody_began_it_takes_its_animation_along(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    animation_id = await account.animate(photo_id, restore_id)

    await account.http.delete(f"/api/v1/jobs/{photo_id}/restore/{restore_id}")

    row = _row(api, animation_id)
    assert (row["status"], row["reason"]) == ("failed", "RestoreJobCancelled")
    reply = await account.ask_for_animation(photo_id, {"restore_id": restore_id})
    assert (reply.status_code, reply.json()["code"]) == (404, "restore_not_found")


async def test_a_restoration_that_ends_at_the_same_moment_leaves_no_animation_waiting(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    for share in (0.1, 0.2, 0.3, 0.4):
        restore_id = await account.restore(photo_id, denoise=share)
        animation_id, key = await asyncio.gather(account.animate(photo_id, restore_id), api.complete(restore_id))
        assert _row(api, animation_id)["source_key"] == key


async def test_what_is_not_a_restoration_of_this_photo_is_not_found(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    of_another_photo = await account.restore(await account.photo(photo_bytes()))
    stranger = api.account()
    their_photo = await stranger.photo(photo_bytes())
    of_a_stranger = await stranger.restore(their_photo)

    for restore_id in (of_another_photo, of_a_stranger, str(uuid.uuid4())):
        reply = await account.ask_for_animation(photo_id, {"restore_id": restore_id})
        assert (reply.status_code, reply.json()["code"]) == (404, "restore_not_found")
    reply = await account.ask_for_animation(their_photo, {})
    assert (reply.status_code, reply.json()["code"]) == (404, "photo_not_found")
    assert api.rows("SELECT id FROM animation_attempts") == []


@pytest.mark.parametrize(
    "body",
    [
        {"params": {"resolution": "4k"}},
        {"params": {"durationSeconds": 31}},
        {"params": {"format": "GIF"}},
        {"params": {"prompt": "x" * 501}},
        {"restore_id": "newest"},
    ],
)
async def test_parameters_out_of_bounds_are_refused_with_the_field(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", body: dict[str, Any]
) -> None:
    reply = await account.ask_for_animation(await account.photo(photo_bytes()), body)

    assert reply.status_code == 422
    assert reply.json()["errors"]
    assert api.rows("SELECT id FROM animation_attempts") == []


@pytest.mark.parametrize("style", ["Zoom", 7, ["KenBurns"]])
async def test_an_unknown_style_is_refused_with_those_offered(
    account: "Account", photo_bytes: "PhotoMaker", style: object
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await account.ask_for_animation(photo_id, {"params": {"style": style}})

    assert reply.status_code == 422
    [error] = reply.json()["errors"]
    assert error["location"] == "body.params.style"
    assert "KenBurns" in str(error)


async def test_a_button_pressed_many_times_makes_one_animation(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)

    ids = await asyncio.gather(*(account.animate(photo_id, restore_id) for _ in range(8)))
    await api.complete(restore_id)

    assert {*ids, await account.animate(photo_id, restore_id)} == {ids[0]}, "the running one is the answer"
    others = {await account.animate(photo_id), await account.animate(photo_id, restore_id, durationSeconds=3)}
    assert len(others | set(ids)) == 3
    await api.complete_animation(ids[0])
    assert await account.animate(photo_id, restore_id) not in {*others, *ids}


async def test_the_job_view_tells_each_animations_state_in_its_keys(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    running, failed, done = [await account.animate(photo_id, durationSeconds=length) for length in (2, 3, 4)]
    await api.observe(failed, AnimationAttempt, status=AttemptStatus.FAILED, reason="EngineError", message="Broken.")
    keys = await api.complete_animation(done)

    job = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()

    shown = job["animation_attempts"]
    assert [item["id"] for item in shown] == [running, failed, done]
    assert [item["result_s3_key"] for item in shown] == ["pending", "failed", keys.result]
    assert [item["preview_s3_key"] for item in shown] == ["pending", "failed", keys.preview]
    assert [item["thumb_s3_key"] for item in shown] == [None, None, keys.thumbnail]
    assert (shown[1]["reason"], shown[1]["message"]) == ("EngineError", "Broken.")
    assert shown[0]["result_url"] is None
    assert job["latest_animation_id"] == done
    async with httpx.AsyncClient(timeout=60) as browser:
        for field, body in (
            ("result_url", b"result.mp4"),
            ("preview_url", b"preview.webp"),
            ("thumb_url", b"poster.jpg"),
        ):
            download = await browser.get(shown[2][field])
            assert download.content == body
            assert download.headers["content-disposition"].startswith('attachment; filename="rekindle-')
    detail = (await account.http.get(f"/api/v1/photos/{photo_id}")).json()
    assert [item["id"] for item in detail["animations"]] == [done]
    assert [(item["id"], item["type"]) for item in detail["processingJobs"]] == [(running, "animate")]


async def test_the_state_of_a_job_is_that_of_its_newest_attempt_of_either_kind(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    await account.restore(photo_id)
    animation_id = await account.animate(photo_id)
    await api.observe(animation_id, AnimationAttempt, status=AttemptStatus.PROCESSING, progress_percent=60)

    for identifier in (animation_id, photo_id):
        state = (await account.http.get(f"/api/v1/processing/jobs/{identifier}/status")).json()
        assert (state["id"], state["status"], state["progress"]) == (animation_id, "processing", 60)


@pytest.mark.parametrize(("tries", "status", "orders"), [(0, "cancelled", []), (1, "queued", [("cancel",)])])
async def test_a_deleted_animation_is_cancelled_and_gone_from_the_job(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", tries: int, status: str, orders: list[tuple[str]]
) -> None:
    photo_id = await account.photo(photo_bytes())
    animation_id = await account.animate(photo_id)
    api.rows("UPDATE outbox SET attempts = %s", tries)

    for _ in range(2):
        reply = await account.http.delete(f"/api/v1/jobs/{photo_id}/animate/{animation_id}")
        assert (reply.status_code, reply.json()["id"]) == (200, animation_id)

    assert _row(api, animation_id)["status"] == status
    assert api.rows("SELECT desired FROM outbox") == orders
    assert (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["animation_attempts"] == []


async def test_a_photo_deleted_again_and_again_is_in_the_audit_log_once(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    animation_id = await account.animate(photo_id)

    replies = await asyncio.gather(*(account.http.delete(f"/api/v1/photos/{photo_id}") for _ in range(4)))
    replies.append(await account.http.delete(f"/api/v1/jobs/{photo_id}"))

    assert {reply.status_code for reply in replies} == {200}
    assert len(api.rows("SELECT id FROM audit_logs WHERE action = 'photo.deleted'")) == 1
    assert _row(api, animation_id)["status"] == "cancelled"
    assert (await account.ask_for_animation(photo_id, {})).status_code == 404
