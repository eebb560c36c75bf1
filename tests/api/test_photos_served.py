"""How stored photos are served and taken away: signed addresses, statements, decoders, and what a deletion leaves."""

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from rekindle_api.storage.signing import Download, SignedUrls

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

CAT = Download("users/a/photos/b/original", "cat", "image/jpeg")


def test_a_signed_address_is_used_again_for_half_its_life_and_never_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    urls = SignedUrls()
    urls.keep("bucket", {CAT: "https://signed"}, 900, signed_at=now)

    now += 449
    assert urls.find("bucket", [CAT], 900) == {CAT.key: "https://signed"}
    assert urls.find("bucket", [CAT], 60) == {}, "one of another length"
    assert urls.find("other", [CAT], 900) == {}, "one in another bucket"
    now += 2
    assert urls.find("bucket", [CAT], 900) == {}


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rekindle_api.storage.signing._REMEMBERED", 3)
    urls = SignedUrls()
    for number in range(5):
        item = Download(f"key-{number}", "cat")
        urls.keep("bucket", {item: f"url-{number}"}, 900, signed_at=float("inf"))

    found = urls.find("bucket", [Download(f"key-{number}", "cat") for number in range(5)], 900)

    assert found == {f"key-{number}": f"url-{number}" for number in (2, 3, 4)}


@pytest.mark.stack
async def test_a_gallery_shows_the_same_addresses_again_and_a_download_a_fresh_one(
    account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())

    first, second = [(await account.http.get("/api/v1/photos")).json()["photos"][0] for _ in range(2)]
    download = (await account.http.get(f"/api/v1/photos/{photo_id}/download-url")).json()

    assert first["thumbnail_url"] == second["thumbnail_url"]
    assert first["original_url"] == second["original_url"]
    assert download["expires_in"] == 900
    assert "private%2C%20max-age%3D900" in first["thumbnail_url"]


@pytest.mark.stack
async def test_a_gallery_takes_three_statements_however_many_photos_it_shows(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    for _ in range(5):
        await api.complete(await account.restore(await account.photo(photo_bytes())))
    engine = api.app.state.database._engine.sync_engine
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        reply = await account.http.get("/api/v1/photos")
    finally:
        event.remove(engine, "before_cursor_execute", note)

    assert len(reply.json()["photos"]) == 5
    assert len(statements) <= 3, "\n".join(statements)


def test_the_service_itself_holds_no_decoder() -> None:
    loaded = "import sys, rekindle_api.server, rekindle_api.bridge.program; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()

    assert "rekindle_api.photos.direct" in modules
    assert {"PIL", "pillow_heif", "av", "cv2", "numpy"}.isdisjoint(modules)


@pytest.mark.stack
async def test_a_deleted_photo_leaves_nothing_under_its_prefix_and_the_reply_says_so(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    form = (await account.http.post("/api/v1/photos/presigned-upload", json={})).json()
    api.s3.put_object(Bucket=api.bucket, Key=form["key"], Body=photo_bytes())
    photo = (await account.http.post(f"/api/v1/photos/{form['photo_id']}/complete")).json()
    await api.complete(await account.restore(photo["id"]))
    api.s3.put_object(Bucket=api.bucket, Key=form["key"], Body=b"sent again by the form")
    _begin_parts(api, photo["original_key"])
    prefix = photo["original_key"].removesuffix("original")
    stored = api.keys()
    assert len([key for key in stored if key.startswith(prefix)]) == 4

    reply = (await account.http.delete(f"/api/v1/photos/{photo['id']}")).json()

    assert (reply["deleted"], reply["objects_deleted"]) == (True, True)
    assert api.keys() == []
    assert api.unfinished_uploads() == 0


@pytest.mark.stack
async def test_while_something_runs_the_reply_says_that_the_files_follow(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    await account.restore(photo_id)
    api.rows("UPDATE outbox SET attempts = 1")

    reply = (await account.http.delete(f"/api/v1/photos/{photo_id}")).json()

    assert (reply["deleted"], reply["objects_deleted"]) == (True, False)
    assert "follow" in reply["message"]
    assert len(api.keys()) == 2


def _begin_parts(api: "Api", key: str) -> Any:
    begun = api.s3.create_multipart_upload(Bucket=api.bucket, Key=key)
    api.s3.upload_part(Bucket=api.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"left over")
    return begun
