"""Asking for restorations, and the job view that shows them."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.models import AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack

FRONTEND_FORM: dict[str, Any] = {
    "model": "classic",
    "params": {
        "denoise": 0.7,
        "megapixels": 2,
        "restore": {"colourize": True, "denoiseLevel": "medium", "userPrompt": "keep the freckles"},
        "animate": {"style": "smile"},
        "bringTogether": {},
    },
}
FLAT_FORM: dict[str, Any] = {"params": {"denoise": 0.5, "megapixels": 1, "prompt": "keep it", "colourize": False}}


@pytest.mark.parametrize("path", ["/api/v1/photos/{}/restore", "/api/v1/jobs/{}/restore"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            FRONTEND_FORM,
            {"denoise": 70, "maxMegapixels": 2, "colorize": "IfAvailable", "prompt": "keep the freckles"},
        ),
        (FLAT_FORM, {"denoise": 50, "maxMegapixels": 1, "colorize": "Never", "prompt": "keep it"}),
        ({}, {"denoise": 50, "colorize": "Never"}),
        ({"params": {"restore": {"denoiseLevel": "high"}}}, {"denoise": 90}),
        ({"params": {"restore": {"denoiseLevel": 0.65}}}, {"denoise": 65}),
        ({"params": {"restore": {"denoiseLevel": ["odd"]}}}, {"denoise": 50}),
        ({"params": {"denoise": 0.9, "megapixels": 0.5, "restore": {"denoiseLevel": "low"}}}, {"denoise": 90}),
        ({"params": {"animate": {"colourize": True}, "bringTogether": {"prompt": "us"}}}, {"colorize": "Never"}),
        ({"params": {"colourize": True, "prompt": ""}}, {"colorize": "IfAvailable"}),
    ],
)
async def test_both_forms_become_parameters_of_the_resource(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", path: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await account.http.post(path.format(photo_id), json=body)

    assert reply.status_code == 202, reply.text
    attempt_id = reply.json()["id"]
    assert reply.json()["created_at"]
    [[parameters, requested, source, original, prefix, bucket]] = api.rows(
        "SELECT a.parameters, a.requested, a.source_key, p.original_key, a.output_prefix, a.bucket"
        " FROM restore_attempts a JOIN photos p ON p.id = a.job_id WHERE a.id = %s",
        attempt_id,
    )
    assert {name: parameters.get(name) for name in expected} == expected
    assert ("prompt" in parameters) == ("prompt" in expected)
    assert requested == body.get("params", {})
    assert source == original
    assert prefix == f"{original.removesuffix('original')}attempts/{attempt_id}"
    assert bucket == api.bucket
    assert api.rows("SELECT attempt_id::text, kind, desired FROM outbox") == [(attempt_id, "restore", "create")]


@pytest.mark.parametrize(
    "body",
    [
        {"model": None, "params": None},
        {"params": {"denoise": None, "megapixels": None, "prompt": None, "colourize": None, "restore": None}},
        {"params": {"restore": dict.fromkeys(("colourize", "denoiseLevel", "userPrompt", "sourceResultId"))}},
        {"params": {"animate": None, "bringTogether": None}},
    ],
)
async def test_null_says_the_same_as_leaving_a_field_out(
    account: "Account", photo_bytes: "PhotoMaker", body: dict[str, Any]
) -> None:
    photo_id = await account.photo(photo_bytes())

    replies = [await account.http.post(f"/api/v1/photos/{photo_id}/restore", json=sent) for sent in (body, {})]
    animated = await account.ask_for_animation(
        photo_id, {"restore_id": None, "params": dict.fromkeys(("prompt", "resolution", "style", "durationSeconds"))}
    )

    assert [reply.status_code for reply in [*replies, animated]] == [202, 202, 202]
    assert replies[0].json()["id"] == replies[1].json()["id"]


@pytest.mark.parametrize(
    "params",
    [
        {"denoise": 1.5},
        {"denoise": "strong"},
        {"megapixels": 0},
        {"megapixels": 1000},
        {"restore": {"userPrompt": "x" * 501}},
        {"restore": {"sourceResultId": "latest"}},
        {"note": "\0"},
        {"note": "x" * 20_000},
    ],
)
async def test_parameters_out_of_bounds_are_refused_with_the_field(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", params: dict[str, Any]
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await account.http.post(f"/api/v1/photos/{photo_id}/restore", json={"params": params})

    assert reply.status_code == 422
    assert reply.json()["errors"]
    assert api.rows("SELECT 1 FROM restore_attempts") == []


async def test_equal_requests_that_race_make_one_attempt(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())

    ids = await asyncio.gather(*(account.restore(photo_id) for _ in range(12)))

    assert len(set(ids)) == 1
    assert len(api.rows("SELECT 1 FROM restore_attempts")) == 1
    assert len(api.rows("SELECT 1 FROM outbox")) == 1


async def test_an_equal_request_after_the_end_is_a_new_attempt(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    first = await account.restore(photo_id)
    other = await account.restore(photo_id, denoise=0.9)
    await api.observe(first, status=AttemptStatus.FAILED, reason="EngineError")

    assert await account.restore(photo_id) not in {first, other}


async def test_a_restoration_can_start_from_an_earlier_result(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    first = await account.restore(photo_id)
    body = {"params": {"restore": {"sourceResultId": first}}}
    early = await account.http.post(f"/api/v1/photos/{photo_id}/restore", json=body)
    key = await api.complete(first)

    second = await account.restore(photo_id, restore={"sourceResultId": first})

    assert (early.status_code, early.json()["code"]) == (409, "source_result_not_ready")
    assert api.rows("SELECT source_key FROM restore_attempts WHERE id = %s", second) == [(key,)]
    unknown = {"params": {"restore": {"sourceResultId": str(uuid.uuid4())}}}
    reply = await account.http.post(f"/api/v1/photos/{photo_id}/restore", json=unknown)
    assert (reply.status_code, reply.json()["code"]) == (404, "source_result_not_found")


async def test_a_result_of_another_photo_is_no_source(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    done = await account.restore(await account.photo(photo_bytes()))
    await api.complete(done)
    other = await account.photo(photo_bytes())

    reply = await account.http.post(
        f"/api/v1/photos/{other}/restore", json={"params": {"restore": {"sourceResultId": done}}}
    )

    assert reply.status_code == 404


async def test_the_job_view_tells_each_attempts_state_in_its_key(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    running, failed, done = [await account.restore(photo_id, denoise=share) for share in (0.5, 0.6, 0.7)]
    await api.observe(failed, status=AttemptStatus.FAILED, reason="UnreadableImage", message="No image.")
    key = await api.complete(done)

    job = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()

    assert job["id"] == photo_id
    assert job["thumbnail_s3_key"].endswith("/thumbnail.webp")
    assert job["thumbnail_url"].startswith("http")
    assert job["animation_attempts"] == []
    assert job["latest_animation_id"] is None
    attempts = job["restore_attempts"]
    assert [(item["id"], item["s3_key"]) for item in attempts] == [
        (running, "pending"),
        (failed, "failed"),
        (done, key),
    ]
    assert {item["job_id"] for item in attempts} == {photo_id}
    assert [item["url"] is not None for item in attempts] == [False, False, True]
    assert (attempts[1]["status"], attempts[1]["reason"]) == ("failed", "UnreadableImage")
    for path in ("/api/v1/jobs", "/api/v1/jobs/?skip=0&limit=5"):
        [listed] = (await account.http.get(path)).json()
        assert [item["id"] for item in listed["restore_attempts"]] == [running, failed, done]


async def test_the_state_of_an_attempt_can_be_asked_by_its_id_or_its_photos(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await api.observe(attempt_id, status=AttemptStatus.PROCESSING, progress_percent=30)

    for identifier in (attempt_id, photo_id):
        state = (await account.http.get(f"/api/v1/processing/jobs/{identifier}/status")).json()
        assert (state["id"], state["status"], state["progress"]) == (attempt_id, "processing", 30)


async def test_an_attempt_deleted_before_anybody_began_it_is_cancelled_at_once(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)

    for _ in range(2):
        reply = await account.http.delete(f"/api/v1/jobs/{photo_id}/restore/{attempt_id}")
        assert reply.status_code == 200
        assert reply.json()["id"] == attempt_id

    assert api.rows("SELECT status FROM restore_attempts") == [("cancelled",)]
    assert api.rows("SELECT 1 FROM outbox") == []
    assert (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["restore_attempts"] == []


async def test_an_attempt_deleted_while_it_may_run_is_cancelled_through_the_outbox(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    api.rows("UPDATE outbox SET attempts = 1, claimed_until = now() + interval '1 minute'")

    await account.http.delete(f"/api/v1/jobs/{photo_id}/restore/{attempt_id}")

    assert api.rows("SELECT desired, version FROM outbox") == [("cancel", 2)]
    assert api.rows("SELECT status FROM restore_attempts") == [("queued",)]


async def test_every_request_and_deletion_is_in_the_audit_log(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await account.http.delete(f"/api/v1/photos/{photo_id}")

    entries = api.rows(
        "SELECT action, subject_id::text, request_id IS NOT NULL FROM audit_logs"
        " WHERE action NOT LIKE 'account.%%' ORDER BY id"
    )

    assert entries == [
        ("photo.uploaded", photo_id, True),
        ("restore.requested", attempt_id, True),
        ("photo.deleted", photo_id, True),
    ]
