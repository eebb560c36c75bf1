"""The export: one archive with everything about an account, streamed, also to who is leaving."""

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from rekindle_api.storage import StorageUnavailableError

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack
PATH = "/api/v1/users/me/export"


async def exported(account: "Account") -> tuple[zipfile.ZipFile, dict[str, Any]]:
    reply = await account.http.get(PATH)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/zip"
    assert reply.headers["content-disposition"].startswith('attachment; filename="rekindle-export-')
    assert reply.headers["cache-control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert archive.testzip() is None
    return archive, {name: json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")}


async def test_an_export_has_every_record_and_every_file(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", large_photo: bytes
) -> None:
    small = photo_bytes()
    first, second = await account.photo(small), await account.photo(large_photo)
    await account.http.put(f"/api/v1/photos/{first}", json={"metadata": {"title": "Großmutter"}})
    restored = await account.restore(first)
    await api.complete(restored, b"restored bytes")
    api.rows(
        "INSERT INTO payments (id, user_id, description, amount, currency, credits, paid_at)"
        " SELECT 'in_1', id, '30 credits', 1299, 'usd', 30, now() FROM users WHERE supabase_user_id = %s",
        account.id,
    )

    archive, records = await exported(account)

    assert archive.namelist()[-1] == "manifest.json"
    assert records["profile.json"]["supabase_user_id"] == account.id
    photos = {photo["id"]: photo for photo in records["photos.json"]["photos"]}
    assert set(photos) == {first, second}
    assert photos[first]["metadata"] == {"title": "Großmutter"}
    assert archive.read(photos[first]["file"]) == small
    assert archive.read(photos[second]["file"]) == large_photo
    [job] = records["jobs.json"]["restorations"]
    assert (job["id"], job["photo_id"], job["status"]) == (restored, first, "completed")
    assert archive.read(job["file"]) == b"restored bytes"
    assert [payment["id"] for payment in records["payments.json"]["payments"]] == ["in_1"]
    entries = records["credits.json"]["entries"]
    balance = api.rows(
        "SELECT balance FROM credit_accounts JOIN users ON user_id = id WHERE supabase_user_id = %s", account.id
    )
    assert [(sum(entry["amount"] for entry in entries),)] == balance
    assert records["manifest.json"]["files"] == 3
    assert records["manifest.json"]["missing"] == []


async def test_an_empty_account_has_an_export_too(account: "Account") -> None:
    _, records = await exported(account)

    assert records["photos.json"] == {"photos": []}
    assert records["jobs.json"] == {"restorations": [], "animations": []}


async def test_a_file_that_is_gone_is_named_and_the_others_are_there(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    gone, there = await account.photo(photo_bytes()), await account.photo(photo_bytes())
    [[key]] = api.rows("SELECT original_key FROM photos WHERE id = %s", gone)
    api.s3.delete_object(Bucket=api.bucket, Key=key)

    archive, records = await exported(account)

    photos = {photo["id"]: photo["file"] for photo in records["photos.json"]["photos"]}
    assert records["manifest.json"]["missing"] == [photos[gone]]
    assert photos[there] in archive.namelist()
    assert photos[gone] not in archive.namelist()


async def test_a_free_account_gets_its_results_as_they_are_shown(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    clean = await api.complete(attempt_id, b"clean")
    marked = f"{clean}.marked"
    api.s3.put_object(Bucket=api.bucket, Key=marked, Body=b"marked")
    api.rows("UPDATE restore_attempts SET watermarked_result_key = %s WHERE id = %s", marked, attempt_id)

    async def result() -> bytes:
        archive, records = await exported(account)
        return archive.read(records["jobs.json"]["restorations"][0]["file"])

    assert await result() == b"marked"
    api.rows("UPDATE users SET tier = 'remember'")
    assert await result() == b"clean"


async def test_who_asked_for_the_accounts_deletion_can_still_export_it(
    account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    await account.photo(photo_bytes())
    assert (await account.http.delete("/api/v1/users/me")).status_code == 200

    _, records = await exported(account)

    assert len(records["photos.json"]["photos"]) == 1


async def test_an_export_has_nothing_of_anybody_else(api: "Api", account: "Account", photo_bytes: "PhotoMaker") -> None:
    other = api.account()
    photo_id = await other.photo(photo_bytes())
    await api.complete(await other.restore(photo_id))

    archive, records = await exported(account)

    assert len(archive.namelist()) == 6
    assert photo_id not in json.dumps(records)


async def test_storage_that_fails_breaks_the_archive_off_so_that_nobody_takes_it_for_whole(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch
) -> None:
    await account.photo(photo_bytes())

    async def fail(_key: str) -> None:
        raise StorageUnavailableError("The photo storage cannot be reached.")

    monkeypatch.setattr(api.app.state.storage, "head", fail)
    content = b""
    with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - read until it breaks
        async with account.http.stream("GET", PATH) as reply:
            async for chunk in reply.aiter_bytes():
                content += chunk

    assert b"manifest.json" not in content


async def test_a_large_account_is_exported_with_little_memory(
    api: "Api", account: "Account", large_photo: bytes
) -> None:
    [photo_id] = [await account.photo(large_photo)]
    api.rows(
        "INSERT INTO photos (id, owner_id, status, bucket, original_key, thumbnail_key, sha256, size_bytes, media_type,"
        " width, height) SELECT gen_random_uuid(), owner_id, status, bucket, original_key, thumbnail_key, n::text,"
        " size_bytes, media_type, width, height FROM photos, generate_series(1, 19) n WHERE id = %s",
        photo_id,
    )
    process = psutil.Process()
    before, received = process.memory_info().rss, 0

    async with account.http.stream("GET", PATH) as reply:
        async for chunk in reply.aiter_bytes():
            received += len(chunk)

    assert received > 20 * len(large_photo)
    assert process.memory_info().rss - before < 100_000_000
