"""Every call that the existing frontend makes, in the shape that it reads, over the way that its calls take."""

from typing import TYPE_CHECKING, Any

import pytest
from tests.api.contract import shapes

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker
    from tests.api.contract.conftest import Frontend, Matches

pytestmark = pytest.mark.stack

PARAMS = {
    "denoise": 0.7,
    "megapixels": 2,
    "restore": {"colourize": False, "denoiseLevel": 0.7, "userPrompt": "", "sourceResultId": None},
    "animate": {"prompt": "wave", "resolution": "720p"},
    "bringTogether": {},
}


async def restored(frontend: "Frontend", photo_id: str, **restore: object) -> str:
    params = {**PARAMS, "restore": {**PARAMS["restore"], **restore}}  # type: ignore[dict-item]  # a dict by its line
    accepted = await frontend.post(f"/api/v1/photos/{photo_id}/restore", {"model": "runpod", "params": params})
    return str(accepted["id"])


async def test_an_upload_answers_with_the_photo(
    frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    content = photo_bytes(size=(80, 60))

    photo = matches(await frontend.upload(content), shapes.Photo)

    assert photo["status"] == "ready"
    assert photo["size_bytes"] == len(content)
    assert photo["original_key"].rpartition("/")[2]
    assert photo["metadata"]["dimensions"] == {"width": 80, "height": 60}
    assert (await frontend.load(photo["thumbnail_url"])).headers["Content-Type"] == "image/webp"


async def test_a_png_that_is_called_a_jpeg_is_taken_for_what_it_is(
    frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo = await frontend.upload(photo_bytes(kind="PNG"))

    assert photo["mime_type"] == "image/png"


async def test_an_upload_that_is_retried_makes_no_second_photo(frontend: "Frontend", photo_bytes: "PhotoMaker") -> None:
    content = photo_bytes()

    first, second, third = [await frontend.upload(content) for _ in range(3)]

    assert first["id"] == second["id"] == third["id"]
    assert (await frontend.get("/api/v1/photos", offset=0, limit=20))["total"] == 1


async def test_photos_are_listed_newest_first(
    frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    ids = [(await frontend.upload(photo_bytes()))["id"] for _ in range(3)]

    page = matches(await frontend.get("/api/v1/photos", offset=0, limit=2), shapes.PhotoPage)

    assert [photo["id"] for photo in page["photos"]] == [ids[2], ids[1]]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 0)


async def test_somebody_without_photos_gets_an_empty_list(frontend: "Frontend", matches: "Matches") -> None:
    page = matches(await frontend.get("/api/v1/photos"), shapes.PhotoPage)

    assert page == {"photos": [], "total": 0, "limit": 20, "offset": 0}


async def test_a_photo_is_told_with_its_results_and_what_still_runs(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    done = await restored(frontend, photo_id)
    key = await api.complete(done)
    await restored(frontend, photo_id, colourize=True)

    detail = matches(await frontend.get(f"/api/v1/photos/{photo_id}"), shapes.PhotoDetail)

    assert [(result["id"], result["job_id"], result["s3_key"]) for result in detail["results"]] == [
        (done, photo_id, key)
    ]
    assert len(detail["processingJobs"]) == 1
    assert detail["relatedPhotos"] == []


@pytest.mark.parametrize("key_type", ["original", "processed", "thumbnail"])
async def test_each_object_of_a_photo_can_be_downloaded(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches", key_type: str
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    await api.complete(await restored(frontend, photo_id))

    answer = matches(
        await frontend.get(f"/api/v1/photos/{photo_id}/download-url", key_type=key_type, expiration=600),
        shapes.DownloadUrl,
    )

    downloaded = await frontend.load(answer["url"])
    assert downloaded.headers["Content-Disposition"].startswith("attachment; filename=")


async def test_a_photo_is_deleted_with_a_json_object_for_an_answer(
    frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]

    assert isinstance(await frontend.delete(f"/api/v1/photos/{photo_id}"), dict)
    assert (await frontend.get("/api/v1/photos"))["total"] == 0


async def test_notes_on_a_photo_are_kept(frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches") -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]

    photo = matches(
        await frontend.put(f"/api/v1/photos/{photo_id}", {"metadata": {"title": "Grandmother"}}), shapes.Photo
    )

    assert photo["metadata"]["title"] == "Grandmother"


@pytest.mark.parametrize("prefix", ["photos", "jobs"])
async def test_a_restoration_is_accepted_with_what_the_frontend_sends(
    api: "Api", account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches", prefix: str
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    body = {"model": "runpod", "params": {**PARAMS, "restore": {"colourize": True, "userPrompt": "keep the frame"}}}

    reply = await account.http.post(f"/api/v1/{prefix}/{photo_id}/restore", json=body)

    assert reply.status_code == 202
    matches(reply.json(), shapes.Accepted)
    [[parameters]] = api.rows("SELECT parameters FROM restore_attempts")
    wanted = {"denoise": 70, "maxMegapixels": 2, "colorize": "IfAvailable", "prompt": "keep the frame"}
    assert parameters.items() >= wanted.items()


async def test_the_older_flat_form_means_the_same(api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker") -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    flat = {"denoise": 0.5, "megapixels": 1, "prompt": "keep the frame", "colourize": True}

    await frontend.post(f"/api/v1/photos/{photo_id}/restore", {"model": "runpod", "params": flat})

    [[parameters]] = api.rows("SELECT parameters FROM restore_attempts")
    wanted = {"denoise": 50, "maxMegapixels": 1, "colorize": "IfAvailable", "prompt": "keep the frame"}
    assert parameters.items() >= wanted.items()


async def test_a_restoration_can_start_from_an_earlier_result(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    first = await restored(frontend, photo_id)
    key = await api.complete(first)

    second = await restored(frontend, photo_id, sourceResultId=first)

    assert api.rows("SELECT source_key FROM restore_attempts WHERE id = %s", second) == [(key,)]


async def test_the_state_of_an_attempt_is_read_from_its_key(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    done = await restored(frontend, photo_id)
    key = await api.complete(done)
    failed = await restored(frontend, photo_id, colourize=True)
    await api.observe(failed, status=AttemptStatus.FAILED, reason="SourceUnreadable", message="No photo.")
    running = await restored(frontend, photo_id, userPrompt="again")

    job = matches(await frontend.get(f"/api/v1/jobs/{photo_id}"), shapes.Job)

    keys = {attempt["id"]: attempt["s3_key"] for attempt in job["restore_attempts"]}
    assert keys == {done: key, failed: "failed", running: "pending"}
    [url] = [attempt["url"] for attempt in job["restore_attempts"] if attempt["id"] == done]
    assert (await frontend.load(url)).content == b"restored"
    assert job["id"] == photo_id


async def test_jobs_are_listed_with_their_relations(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    await api.complete(await restored(frontend, photo_id))

    jobs = matches(await frontend.get("/api/v1/jobs/", skip=0, limit=20), list[shapes.Job])

    assert [(job["id"], len(job["restore_attempts"])) for job in jobs] == [(photo_id, 1)]


@pytest.mark.parametrize("resolution", ["480p", "720p"])
async def test_an_animation_of_a_running_restoration_is_accepted(
    frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches", resolution: str
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    running = await restored(frontend, photo_id)
    body = {"restore_id": running, "model": "kling", "params": {"prompt": "smile", "resolution": resolution}}

    accepted = await frontend.post(f"/api/v1/jobs/{photo_id}/animate", body)

    job = matches(await frontend.get(f"/api/v1/jobs/{photo_id}"), shapes.Job)
    assert job["latest_animation_id"] == accepted["id"]
    [animation] = job["animation_attempts"]
    assert animation["restore_id"] == running
    assert animation["preview_s3_key"] in {"", "pending"}


async def test_an_animation_needs_no_restoration(
    api: "Api", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]

    animation_id = (
        await frontend.post(f"/api/v1/jobs/{photo_id}/animate", {"model": "kling", "params": {"prompt": ""}})
    )["id"]
    await api.complete_animation(animation_id)

    job = matches(await frontend.get(f"/api/v1/jobs/{photo_id}"), shapes.Job)
    await frontend.load(job["animation_attempts"][0]["result_url"])


async def test_attempts_and_jobs_are_deleted_with_json_objects_for_answers(
    frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    attempt_id = await restored(frontend, photo_id)
    animation = await frontend.post(f"/api/v1/jobs/{photo_id}/animate", {"model": "kling", "params": {}})

    assert isinstance(await frontend.delete(f"/api/v1/jobs/{photo_id}/restore/{attempt_id}"), dict)
    assert isinstance(await frontend.delete(f"/api/v1/jobs/{photo_id}/animate/{animation['id']}"), dict)
    assert isinstance(await frontend.delete(f"/api/v1/jobs/{photo_id}"), dict)
    assert await frontend.get("/api/v1/jobs/") == []


async def test_the_stream_tells_the_end_of_restorations_and_animations(
    api: "Api", account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    restore_id = await restored(frontend, photo_id)

    async with account.following(photo_id) as stream:
        await stream.next()
        await api.complete(restore_id)
        ended = await _named(stream, "completed")
        assert {"job_id": photo_id, "restore_id": restore_id, "status": "completed"}.items() <= ended.items()

        animated = await account.animate(photo_id, restore_id)
        await api.complete_animation(animated)
        ended = await _named(stream, "animation_completed")
        assert {"job_id": photo_id, "animation_id": animated, "status": "completed"}.items() <= ended.items()
        await frontend.load(ended["video_url"])

        failed = await account.animate(photo_id, restore_id, prompt="once more")
        await api.observe(failed, AnimationAttempt, status=AttemptStatus.FAILED, reason="Crashed", message="It broke.")
        ended = await _named(stream, "animation_failed")
        assert {"job_id": photo_id, "animation_id": failed, "error": "It broke."}.items() <= ended.items()


async def _named(stream: Any, name: str) -> dict[str, Any]:
    while (event := await stream.next()).name != name:
        continue
    data: dict[str, Any] = event.data
    return data


async def test_an_end_before_the_client_connected_is_told_again_while_nothing_runs(
    api: "Api", account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    first = await restored(frontend, photo_id)
    await api.complete(first)

    async with account.following(photo_id) as stream:
        assert (await stream.next()).name == "snapshot"
        assert (await stream.next()).data["restore_id"] == first

    second = await restored(frontend, photo_id, colourize=True)
    async with account.following(photo_id) as stream:
        assert (await stream.next()).name == "snapshot"
        await api.observe(second, status=AttemptStatus.PROCESSING, progress_percent=1, progress_stage="decode")
        assert (await stream.next()).name == "progress"


async def test_a_browser_of_the_frontend_may_open_the_stream(api: "Api") -> None:
    reply = await api.http.options(
        "/api/v1/events/00000000-0000-0000-0000-000000000000",
        headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"},
    )

    assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


async def test_every_error_has_a_detail_that_is_a_string(api: "Api", account: "Account") -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    replies = [
        await api.http.get("/api/v1/photos"),
        await account.http.get(f"/api/v1/photos/{nobody}"),
        await account.http.get("/api/v1/photos", params={"limit": 101}),
        await account.http.post(f"/api/v1/photos/{nobody}/restore", json={"params": {"denoise": "much"}}),
        await account.http.get("/api/v1/no-such-thing"),
    ]

    assert [reply.status_code for reply in replies] == [401, 404, 422, 422, 404]
    assert all(isinstance(reply.json()["detail"], str) for reply in replies)
    assert all(reply.json()["errors"] for reply in replies if reply.status_code == 422)
