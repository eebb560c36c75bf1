"""How much an account may store: counted by index only, held for both ways of uploading, also when they race."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rekindle_api.photos.quota import USED, used_bytes

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, StartApi

pytestmark = pytest.mark.stack


ATTEMPTS = (
    b"INSERT INTO restore_attempts (id, job_id, owner_id, requested, parameters, request_digest, bucket, source_key,"
    b" output_prefix, stored_bytes)"
    b" SELECT gen_random_uuid(), id, owner_id, '{}', '{}', 'd', 'b', 's', 'p', 1 FROM photos",
    b"INSERT INTO animation_attempts (id, job_id, owner_id, requested, parameters, request_digest, bucket,"
    b" output_prefix, stored_bytes)"
    b" SELECT gen_random_uuid(), id, owner_id, '{}', '{}', 'd', 'b', 'p', 1 FROM photos",
)


async def owner_of(account: "Account", photo_id: str) -> uuid.UUID:
    reply = await account.http.get(f"/api/v1/photos/{photo_id}")
    return uuid.UUID(reply.json()["photo"]["owner_id"])


async def stored(api: "Api", owner_id: uuid.UUID) -> int:
    async with api.app.state.database.transaction() as session:
        return await used_bytes(session, owner_id)


def plans(storage_bytes: int) -> dict[str, Any]:
    return {"free": {"storage_bytes": storage_bytes}}


async def test_originals_and_results_count_until_they_are_deleted(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    first, second = photo_bytes(), photo_bytes()
    kept, gone = await account.photo(first), await account.photo(second)
    owner_id = await owner_of(account, kept)
    api.rows(
        "INSERT INTO restore_attempts (id, job_id, owner_id, requested, parameters, request_digest, bucket, source_key,"
        " output_prefix, status, finished_at, result_key, stored_bytes)"
        " SELECT gen_random_uuid(), id, owner_id, '{}', '{}', id::text, bucket, original_key, 'p', 'completed', now(),"
        " 'k', 1000 FROM photos"
    )
    assert await stored(api, owner_id) == len(first) + len(second) + 2000

    await account.http.delete(f"/api/v1/photos/{gone}")
    assert await stored(api, owner_id) == len(first) + 1000

    api.rows("UPDATE restore_attempts SET deleted_at = now() WHERE job_id = %s", kept)
    assert await stored(api, owner_id) == len(first)
    assert await stored(api, uuid.uuid4()) == 0


def test_the_sum_reads_indexes_only(migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        # Otherwise what was inserted just now is not known to be visible to everyone.
        connection.execute("SET synchronous_commit = on")
        connection.execute(
            "INSERT INTO users (id, supabase_user_id) SELECT gen_random_uuid(), gen_random_uuid()"
            " FROM generate_series(1, 300)"
        )
        connection.execute(
            "INSERT INTO photos (id, owner_id, status, bucket, original_key, thumbnail_key, sha256, size_bytes,"
            " media_type, width, height) SELECT gen_random_uuid(), id, 'ready', 'b', 'k', 't', n::text, 1, 'm', 1, 1"
            " FROM users, generate_series(1, 40) n"
        )
        connection.execute("INSERT INTO jobs (id, owner_id) SELECT id, owner_id FROM photos")
        for statement in ATTEMPTS:
            connection.execute(statement)
        for table in ("photos", "restore_attempts", "animation_attempts"):
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        [[user_id]] = connection.execute("SELECT id FROM users LIMIT 1").fetchall()
        compiled = USED.compile(dialect=_dialect())
        values = compiled.params | {"user_id": user_id}
        plan = connection.execute(f"EXPLAIN {compiled}".encode(), values).fetchall()

    lines = [line for (line,) in plan]
    assert sum("Index Only Scan" in line for line in lines) == 5, "\n".join(lines)
    assert not any("Seq Scan" in line or " Index Scan" in line or "Bitmap" in line for line in lines), "\n".join(lines)


def _dialect() -> Any:
    from sqlalchemy.dialects.postgresql.psycopg import dialect  # noqa: PLC0415 - its class has no public name

    return dialect()


async def test_an_account_that_is_full_takes_nothing_more_and_says_how_full_it_is(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    api = await start_api(plans=plans(len(content)))
    account = api.account()
    assert (await account.upload(content)).status_code == 201

    refused = await account.upload(photo_bytes())
    form = await account.http.post("/api/v1/photos/presigned-upload", json={"size": 1})

    for reply in (refused, form):
        assert (reply.status_code, reply.json()["code"]) == (403, "storage_quota_exceeded")
        assert "MiB" in reply.json()["detail"]
    assert len(api.keys()) == 2
    assert len(api.rows("SELECT id FROM photos")) == 1


async def test_an_account_that_is_full_is_answered_with_the_photo_that_it_sends_again(
    start_api: "StartApi", large_photo: bytes
) -> None:
    api = await start_api(plans=plans(len(large_photo)))
    account = api.account()
    first, again = [await account.upload(large_photo) for _ in range(2)]

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert len(api.rows("SELECT id FROM photos")) == 1
    assert api.unfinished_uploads() == 0


async def test_a_declared_length_is_refused_before_its_bytes_are_stored(
    start_api: "StartApi", large_photo: bytes
) -> None:
    api = await start_api(plans=plans(5_000_000))

    reply = await api.account().upload(large_photo)

    assert (reply.status_code, reply.json()["code"]) == (403, "storage_quota_exceeded")
    assert api.nothing_left()


async def test_uploads_at_the_same_time_do_not_exceed_the_quota_together(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    photos = [photo_bytes(seed=number) for number in range(6)]
    room = 2 * max(len(photo) for photo in photos)
    api = await start_api(plans=plans(room))
    account = api.account()
    await account.http.get("/api/v1/photos")

    replies = await asyncio.gather(*(account.upload(photo) for photo in photos))

    statuses = sorted(reply.status_code for reply in replies)
    assert statuses == [201, 201, 403, 403, 403, 403]
    assert api.rows("SELECT sum(size_bytes) <= %s FROM photos WHERE status = 'ready'", room) == [(True,)]
    assert len(api.keys()) == 4


async def test_a_direct_upload_that_finds_no_room_any_more_can_be_completed_once_there_is(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    api = await start_api(plans=plans(len(content) * 3 // 2))
    account = api.account()
    form = (await account.http.post("/api/v1/photos/presigned-upload", json={"size": len(content)})).json()
    api.s3.put_object(Bucket=api.bucket, Key=form["key"], Body=content)
    other = await account.photo(photo_bytes())
    path = f"/api/v1/photos/{form['photo_id']}/complete"

    refused = await account.http.post(path)
    await account.http.delete(f"/api/v1/photos/{other}")
    taken = await account.http.post(path)

    assert (refused.status_code, refused.json()["code"]) == (403, "storage_quota_exceeded")
    assert taken.status_code == 201


async def test_after_a_downgrade_everything_stays_and_only_new_uploads_stop(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    api = await start_api(plans=plans(100))
    account = api.account()
    await account.http.get("/api/v1/photos")
    api.rows("UPDATE users SET tier = 'remember'")
    photo_id = await account.photo(photo_bytes())
    api.rows("UPDATE users SET tier = 'free'")

    assert (await account.http.get(f"/api/v1/photos/{photo_id}")).json()["photo"]["expires_at"] is None
    assert (await account.upload(photo_bytes())).json()["code"] == "storage_quota_exceeded"
