"""Photos that are stored: listing, reading, noting, downloading, deleting, and who may do it."""

import asyncio
import socket
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from rekindle_api.attempts.models import AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, Soon, StartApi

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("path", ["/api/v1/photos", "/api/v1/photos/"])
async def test_a_new_user_has_an_empty_list_with_and_without_a_slash(account: "Account", path: str) -> None:
    reply = await account.http.get(path)

    assert reply.status_code == 200
    assert reply.json() == {"photos": [], "total": 0, "limit": 20, "offset": 0}


async def test_pages_are_newest_first_and_cover_every_photo_once(account: "Account", photo_bytes: "PhotoMaker") -> None:
    made = [await account.photo(photo_bytes()) for _ in range(5)]

    pages = [
        (await account.http.get("/api/v1/photos", params={"offset": offset, "limit": 2})).json()
        for offset in (0, 2, 4, 6)
    ]

    assert [photo["id"] for page in pages for photo in page["photos"]] == made[::-1]
    assert {page["total"] for page in pages} == {5}
    first = pages[0]["photos"][0]
    assert datetime.fromisoformat(first["created_at"]).tzinfo is not None
    assert first["original_url"].startswith("http")
    assert first["thumbnail_url"].startswith("http")


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "offset=-1", "limit=many"])
async def test_a_page_out_of_bounds_is_refused(account: "Account", query: str) -> None:
    reply = await account.http.get(f"/api/v1/photos?{query}")

    assert reply.status_code == 422
    assert isinstance(reply.json()["detail"], str)
    assert reply.json()["errors"][0]["location"].startswith("query.")


async def test_one_photo_comes_with_its_results_and_what_runs(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    done = await account.restore(photo_id, denoise=0.5)
    key = await api.complete(done)
    running = await account.restore(photo_id, denoise=0.9)
    await api.observe(running, status=AttemptStatus.PROCESSING, progress_percent=40, progress_stage="repair")

    detail = (await account.http.get(f"/api/v1/photos/{photo_id}")).json()

    assert detail["photo"]["id"] == photo_id
    assert detail["photo"]["processed_key"] == key
    assert detail["photo"]["processed_url"].startswith("http")
    [result] = detail["results"]
    assert (result["id"], result["job_id"], result["s3_key"]) == (done, photo_id, key)
    assert result["model"] == "classic"
    assert result["params"] == {"denoise": 0.5, "megapixels": 2}
    [job] = detail["processingJobs"]
    assert (job["id"], job["status"], job["progress"], job["stage"]) == (running, "processing", 40, "repair")
    assert detail["relatedPhotos"] == []


async def test_notes_are_kept_and_dimensions_stay(account: "Account", photo_bytes: "PhotoMaker") -> None:
    photo_id = await account.photo(photo_bytes((30, 20)))

    reply = await account.http.put(
        f"/api/v1/photos/{photo_id}", json={"metadata": {"title": "Grandmother", "dimensions": {"width": 1}}}
    )

    noted = {"title": "Grandmother", "dimensions": {"width": 30, "height": 20}}
    assert reply.json()["metadata"] == noted
    assert (await account.http.get(f"/api/v1/photos/{photo_id}")).json()["photo"]["metadata"] == noted


@pytest.mark.parametrize(
    "metadata",
    [
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        '{"a": "' + "x" * 20_000 + '"}',
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        "[]",
    ],
)
async def test_notes_that_cannot_be_stored_are_refused(
    account: "Account", photo_bytes: "PhotoMaker", metadata: str
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await account.http.put(
        f"/api/v1/photos/{photo_id}",
        content=f'{{"metadata": {metadata}}}',
        headers={"Content-Type": "application/json"},
    )

    assert reply.status_code == 422, reply.text
    assert (await account.http.get("/api/v1/photos")).json()["photos"][0]["id"] == photo_id


async def test_downloads_are_attachments_with_sensible_names_and_end_within_fifteen_minutes(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes(kind="PNG")
    photo_id = await account.photo(content)
    path = f"/api/v1/photos/{photo_id}/download-url"

    original = (await account.http.get(path, params={"key_type": "original", "expiration": 86_400})).json()
    brief = (await account.http.get(path, params={"key_type": "thumbnail", "expiration": 60})).json()
    missing = await account.http.get(path, params={"key_type": "processed"})

    assert original["expires_in"] == 900
    assert brief["expires_in"] == 60
    assert (missing.status_code, missing.json()["code"]) == (404, "download_not_found")
    async with httpx.AsyncClient(timeout=60) as browser:
        download = await browser.get(original["url"])
        assert download.content == content
        disposition = download.headers["content-disposition"]
        assert disposition.startswith('attachment; filename="rekindle-')
        assert disposition.endswith('.png"')

        await api.complete(await account.restore(photo_id), b"restored bytes")
        processed = (await account.http.get(path, params={"key_type": "processed"})).json()
        download = await browser.get(processed["url"])
        assert download.content == b"restored bytes"
        assert download.headers["content-disposition"].endswith('-restored.jpg"')


@pytest.mark.parametrize("path", ["/api/v1/photos/{}", "/api/v1/jobs/{}"])
async def test_a_deleted_photo_is_gone_with_all_its_objects(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", soon: "Soon", path: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await api.complete(attempt_id)

    reply = await account.http.delete(path.format(photo_id))
    again = await account.http.delete(path.format(photo_id))

    assert (reply.status_code, again.status_code) == (200, 200)
    assert reply.json()["deleted"] is True
    assert (await account.http.get(f"/api/v1/photos/{photo_id}")).status_code == 404
    assert (await account.http.get(f"/api/v1/jobs/{photo_id}")).status_code == 404
    assert (await account.http.get(f"/api/v1/processing/jobs/{attempt_id}/status")).status_code == 404
    assert (await account.http.get("/api/v1/photos")).json()["total"] == 0
    await soon(lambda: not api.keys())


async def test_a_photo_deleted_while_its_pod_runs_is_cancelled_and_keeps_its_objects_until_the_pod_ended(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    api.rows("UPDATE outbox SET attempts = 1")

    assert (await account.http.delete(f"/api/v1/photos/{photo_id}")).status_code == 200

    assert api.rows("SELECT attempt_id::text, desired FROM outbox") == [(attempt_id, "cancel")]
    assert api.rows("SELECT status, cancel_requested_at IS NULL FROM restore_attempts") == [("queued", False)]
    assert len(api.keys()) == 2


async def test_a_photo_that_is_being_deleted_is_not_restored(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", soon: "Soon"
) -> None:
    photo_id = await account.photo(photo_bytes())
    with psycopg.connect(api.database_url) as deletion:
        deletion.execute("UPDATE photos SET deleted_at = now()")
        request = asyncio.create_task(account.http.post(f"/api/v1/photos/{photo_id}/restore", json={}))
        await soon(lambda: api.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

    assert (await request).status_code == 404
    assert api.rows("SELECT id FROM restore_attempts") == []


async def test_addresses_are_signed_while_storage_hangs(
    api: "Api", start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        other = await start_api(s3_endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", s3_threads=1)
        readiness = asyncio.create_task(other.http.get("/readyz"))
        # The only thread waits for an answer from here on.
        connection, _ = await asyncio.to_thread(silent.accept)

        reply = await other.account(account.id).http.get(f"/api/v1/photos/{photo_id}")

        assert reply.json()["photo"]["original_url"].startswith("http")
        connection.close()
    assert (await readiness).status_code == 503


async def test_what_belongs_to_somebody_else_does_not_exist(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    stranger = api.account().http
    calls = [
        ("GET", f"/api/v1/photos/{photo_id}"),
        ("PUT", f"/api/v1/photos/{photo_id}"),
        ("DELETE", f"/api/v1/photos/{photo_id}"),
        ("GET", f"/api/v1/photos/{photo_id}/download-url"),
        ("POST", f"/api/v1/photos/{photo_id}/restore"),
        ("POST", f"/api/v1/jobs/{photo_id}/restore"),
        ("GET", f"/api/v1/jobs/{photo_id}"),
        ("DELETE", f"/api/v1/jobs/{photo_id}"),
        ("DELETE", f"/api/v1/jobs/{photo_id}/restore/{attempt_id}"),
        ("DELETE", f"/api/v1/jobs/{photo_id}/animate/{attempt_id}"),
        ("GET", f"/api/v1/events/{photo_id}"),
        ("GET", f"/api/v1/processing/jobs/{attempt_id}/status"),
        ("GET", f"/api/v1/processing/jobs/{photo_id}/status"),
    ]

    replies = await asyncio.gather(
        *(
            stranger.request(method, path, json={"metadata": {}} if method in {"PUT", "POST"} else None)
            for method, path in calls
        )
    )

    assert [(reply.status_code, *call) for reply, call in zip(replies, calls, strict=True)] == [
        (404, *call) for call in calls
    ]
    assert (await stranger.get("/api/v1/photos")).json()["total"] == 0
    assert (await stranger.get("/api/v1/jobs")).json() == []
    assert (await account.http.get(f"/api/v1/photos/{photo_id}")).status_code == 200


async def test_a_photo_that_never_was_is_not_found(account: "Account") -> None:
    assert (await account.http.get(f"/api/v1/photos/{uuid.uuid4()}")).status_code == 404
    assert (await account.http.delete(f"/api/v1/photos/{uuid.uuid4()}")).status_code == 404
