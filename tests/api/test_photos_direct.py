"""Uploads that go straight to the storage: the form binds them, and only the complete call makes a photo of them."""

import asyncio
import hashlib
import io
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rekindle_api.photos.expiry import clear_incoming
from rekindle_api.photos.form import UPLOAD_SECONDS
from rekindle_api.storage import ObjectInfo, ObjectStorage

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, StartApi

pytestmark = pytest.mark.stack


async def announce(account: "Account", **said: object) -> dict[str, Any]:
    reply = await account.http.post("/api/v1/photos/presigned-upload", json=said)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


async def send(form: dict[str, Any], content: bytes, **changed: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as browser:
        return await browser.post(form["url"], data=form["fields"] | changed, files={"file": ("photo", content)})


async def complete(account: "Account", form: dict[str, Any]) -> httpx.Response:
    return await account.http.post(f"/api/v1/photos/{form['photo_id']}/complete")


async def uploaded(account: "Account", content: bytes, **said: object) -> dict[str, Any]:
    form = await announce(account, **said)
    assert (await send(form, content)).is_success
    return form


async def test_a_file_sent_by_the_form_becomes_a_photo_by_its_complete_call(
    api: "Api", account: "Account", large_photo: bytes
) -> None:
    digest = hashlib.sha256(large_photo).hexdigest()
    form = await announce(account, filename="a.png", content_type="image/png", size=len(large_photo), sha256=digest)
    assert set(form) >= {"url", "fields", "key", "photo_id"}
    assert form["key"].endswith(f"/photos/{form['photo_id']}/incoming/file")
    assert (await account.http.get("/api/v1/photos")).json()["total"] == 0
    assert (await send(form, large_photo)).is_success
    assert (await account.http.get(f"/api/v1/photos/{form['photo_id']}")).status_code == 404

    reply = await complete(account, form)

    assert reply.status_code == 201, reply.text
    photo = reply.json()
    assert (photo["id"], photo["status"], photo["checksum_sha256"]) == (form["photo_id"], "ready", digest)
    assert (photo["mime_type"], photo["size_bytes"]) == ("image/png", len(large_photo))
    stored = api.s3.get_object(Bucket=api.bucket, Key=photo["original_key"])
    assert (stored["Body"].read(), stored["ContentType"]) == (large_photo, "image/png")
    assert sorted(api.keys()) == sorted([photo["original_key"], photo["thumbnail_key"]])


async def test_what_is_announced_may_stand_in_the_query(account: "Account", photo_bytes: "PhotoMaker") -> None:
    query = {"filename": "a.jpg", "content_type": "image/jpeg", "max_size_bytes": "100000"}
    form = (await account.http.post("/api/v1/photos/presigned-upload", params=query)).json()

    assert (await send(form, photo_bytes())).is_success
    assert (await complete(account, form)).status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"content_type": "text/html"},
        {"content_type": "image/jpeg\r\nx: y"},
        {"sha256": "abc"},
        {"max_size_bytes": -1},
        {"filename": "a\0"},
    ],
)
async def test_a_wrong_announcement_is_refused(api: "Api", account: "Account", wrong: dict[str, object]) -> None:
    reply = await account.http.post("/api/v1/photos/presigned-upload", json=wrong)

    assert reply.status_code == 422
    assert not api.rows("SELECT id FROM photos")


async def test_a_file_of_more_than_the_limit_is_refused_before_it_is_sent(account: "Account") -> None:
    reply = await account.http.post("/api/v1/photos/presigned-upload", json={"size": 60_000_000})

    assert (reply.status_code, reply.json()["code"]) == (413, "upload_too_large")


async def test_the_storage_itself_holds_a_form_to_size_type_key_and_hash(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    form = await announce(
        account, content_type="image/jpeg", size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    other = bytes(len(content))

    refusals = [
        await send(form, content + b"more"),
        await send(form, content[:-1]),
        await send(form, other),
        await send(form, content, **{"Content-Type": "text/html"}),
        await send(form, content, key=form["key"].replace("incoming/file", "original")),
    ]

    assert [reply.is_client_error for reply in refusals] == [True] * 5
    assert api.keys() == []
    assert (await send(form, content)).is_success


async def test_completing_before_the_file_came_says_so_and_can_be_repeated(
    account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = await announce(account)

    early = await complete(account, form)
    await send(form, photo_bytes())
    late = await complete(account, form)

    assert (early.status_code, early.json()["code"]) == (409, "upload_missing")
    assert late.status_code == 201


async def test_completing_again_and_at_the_same_time_gives_one_photo(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = await uploaded(account, photo_bytes())

    replies = await asyncio.gather(*(complete(account, form) for _ in range(4)))
    replies.append(await complete(account, form))

    assert {reply.json()["id"] for reply in replies} == {form["photo_id"]}
    assert sorted(reply.status_code for reply in replies) == [200, 200, 200, 200, 201]
    assert api.rows("SELECT status FROM photos") == [("ready",)]
    assert len(api.keys()) == 2


async def test_bytes_that_the_owner_has_are_answered_with_that_photo_every_time(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    first = await account.photo(content)
    form = await uploaded(account, content)

    replies = [await complete(account, form) for _ in range(2)]

    assert [(reply.status_code, reply.json()["id"]) for reply in replies] == [(200, first)] * 2
    assert len(api.keys()) == 2


async def test_uploads_of_the_same_bytes_by_both_ways_at_once_give_one_photo(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    forms = [await uploaded(account, content) for _ in range(3)]

    replies = await asyncio.gather(*(complete(account, form) for form in forms), account.upload(content))

    assert len({reply.json()["id"] for reply in replies}) == 1
    assert len(api.rows("SELECT id FROM photos WHERE status = 'ready' AND deleted_at IS NULL")) == 1
    assert len(api.keys()) == 2


async def test_a_wrong_file_is_refused_and_removed(api: "Api", account: "Account", photo_bytes: "PhotoMaker") -> None:
    cases = [
        (b"To whom it may concern. " * 40, 415, "unsupported_image"),
        (photo_bytes((400, 300))[:-900], 422, "unreadable_image"),
    ]
    for content, status, code in cases:
        form = await uploaded(account, content)

        reply = await complete(account, form)

        assert (reply.status_code, reply.json()["code"]) == (status, code)
        assert api.keys() == []
        assert (await complete(account, form)).json()["code"] == "photo_not_found"


async def test_a_file_with_another_hash_than_announced_is_refused_also_when_the_storage_does_not_check(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    form = await announce(account, sha256=hashlib.sha256(content).hexdigest())
    api.s3.put_object(Bucket=api.bucket, Key=form["key"], Body=photo_bytes())

    reply = await complete(account, form)

    assert (reply.status_code, reply.json()["code"]) == (422, "checksum_mismatch")
    assert api.keys() == []


async def test_a_file_that_is_larger_than_announced_is_refused_also_when_the_storage_does_not_check(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = await announce(account, max_size_bytes=100)
    api.s3.put_object(Bucket=api.bucket, Key=form["key"], Body=photo_bytes())

    reply = await complete(account, form)

    assert (reply.status_code, reply.json()["code"]) == (413, "upload_too_large")
    assert api.keys() == []


async def test_a_form_used_again_does_not_change_the_photo_and_what_came_is_swept(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    form = await uploaded(account, content)
    photo = (await complete(account, form)).json()
    assert (await send(form, photo_bytes())).is_success
    assert (await complete(account, form)).json()["checksum_sha256"] == hashlib.sha256(content).hexdigest()

    state = api.app.state
    young = await clear_incoming(state.database, state.storage, timedelta(seconds=UPLOAD_SECONDS))
    held = api.keys()
    assert (young.forms, form["key"] in held) == (0, True)
    over = await clear_incoming(state.database, state.storage, timedelta(0))

    assert (over.forms, over.failures) == (1, 0)
    assert sorted(api.keys()) == sorted([photo["original_key"], photo["thumbnail_key"]])
    assert (await clear_incoming(state.database, state.storage, timedelta(0))).forms == 0


async def test_an_upload_whose_file_is_replaced_after_it_was_settled_on_is_refused(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = await uploaded(account, photo_bytes())
    # A complete call that was killed after it had read the file.
    api.rows("UPDATE photos SET sha256 = %s WHERE id = %s", "0" * 64, form["photo_id"])

    reply = await complete(account, form)

    assert (reply.status_code, reply.json()["code"]) == (409, "upload_changed")
    assert api.keys() == []


@pytest.mark.parametrize("given_up", ["UPDATE photos SET deleted_at = now()", "DELETE FROM photos"])
async def test_an_upload_that_is_given_up_while_it_is_completed_leaves_nothing(
    api: "Api",
    account: "Account",
    photo_bytes: "PhotoMaker",
    monkeypatch: pytest.MonkeyPatch,
    given_up: str,
) -> None:
    form = await uploaded(account, photo_bytes())
    copy = ObjectStorage.copy

    async def copied(storage: ObjectStorage, source: ObjectInfo, key: str, media_type: str) -> None:
        await copy(storage, source, key, media_type)
        api.rows(given_up)

    monkeypatch.setattr(ObjectStorage, "copy", copied)
    reply = await complete(account, form)

    assert (reply.status_code, reply.json()["code"]) == (404, "photo_not_found")
    assert api.keys() == []


async def test_an_upload_that_is_completed_after_the_bucket_changed_stays_whole_in_its_own(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    before = await start_api()
    other = f"{before.bucket}-next"
    before.s3.create_bucket(Bucket=other)
    account = before.account()
    form = await uploaded(account, photo_bytes())
    after = await start_api(s3_bucket=other)

    photo = (await complete(after.account(account.id), form)).json()

    assert photo["storage_bucket"] == before.bucket
    assert sorted(before.keys()) == sorted([photo["original_key"], photo["thumbnail_key"]])
    assert "Contents" not in before.s3.list_objects_v2(Bucket=other)


async def test_nobody_completes_the_upload_of_another(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = await uploaded(account, photo_bytes())

    assert (await complete(api.account(), form)).status_code == 404
    through = await account.photo(photo_bytes())
    assert (await account.http.post(f"/api/v1/photos/{through}/complete")).status_code == 404


async def test_a_photo_with_an_archive_behind_it_stays_a_picture_and_is_never_shown_as_a_page(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    account = (await start_api()).account()
    archive = io.BytesIO(photo_bytes())
    archive.seek(0, io.SEEK_END)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("index.html", "<script>alert(1)</script>")
    for way in ("form", "service"):
        content = archive.getvalue() + way.encode()
        if way == "form":
            photo = (await complete(account, await uploaded(account, content))).json()
        else:
            photo = (await account.upload(content)).json()

        assert photo["mime_type"] == "image/jpeg"
        async with httpx.AsyncClient(timeout=60) as browser:
            served = await browser.get(photo["original_url"])
            thumbnail = await browser.get(photo["thumbnail_url"])
        assert served.headers["content-type"] == "image/jpeg"
        assert served.headers["content-disposition"].startswith("attachment")
        assert b"script" not in thumbnail.content


async def test_an_announcement_with_a_key_is_answered_once(api: "Api", account: "Account") -> None:
    said, key = {"size": 1000}, {"Idempotency-Key": "one"}

    first, again = [
        await account.http.post("/api/v1/photos/presigned-upload", json=said, headers=key) for _ in range(2)
    ]

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(api.rows("SELECT id FROM photos")) == 1
