"""Uploading: what is stored and answered, and that a refused upload leaves nothing."""

import asyncio
import hashlib
import io
import json
import socket
import struct
import zlib
from typing import TYPE_CHECKING

import httpx
import pillow_heif
import pytest
from PIL import Image

from rekindle_api.photos import form, intake
from rekindle_api.photos.intake import UPLOADS_OF_ONE_ACCOUNT
from rekindle_api.storage import ObjectStorage, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.conftest import Account, Api, PhotoMaker, Soon, StartApi

pytestmark = pytest.mark.stack


async def test_a_new_photo_is_stored_byte_for_byte_and_answered_in_the_shape_of_the_contract(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes((640, 480))

    reply = await account.upload(content)

    assert reply.status_code == 201
    photo = reply.json()
    assert photo["status"] == "ready"
    assert photo["size_bytes"] == len(content)
    assert photo["mime_type"] == "image/jpeg"
    assert photo["checksum_sha256"] == hashlib.sha256(content).hexdigest()
    assert photo["storage_bucket"] == api.bucket
    assert photo["metadata"]["dimensions"] == {"width": 640, "height": 480}
    prefix = f"users/{photo['owner_id']}/photos/{photo['id']}"
    assert photo["original_key"] == f"{prefix}/original"
    assert sorted(api.keys()) == [f"{prefix}/original", f"{prefix}/thumbnail.webp"]
    assert api.s3.get_object(Bucket=api.bucket, Key=photo["original_key"])["Body"].read() == content
    async with httpx.AsyncClient(timeout=60) as browser:
        thumbnail = await browser.get(photo["thumbnail_url"])
    with Image.open(io.BytesIO(thumbnail.content)) as image:
        assert image.format == "WEBP"
        assert image.size == (512, 384)


async def test_a_large_photo_goes_in_parts_and_comes_out_whole(
    api: "Api", account: "Account", large_photo: bytes
) -> None:
    photo_id = await account.photo(large_photo)

    [[key]] = api.rows("SELECT original_key FROM photos WHERE id = %s", photo_id)
    stored = api.s3.get_object(Bucket=api.bucket, Key=key)
    assert stored["Body"].read() == large_photo
    assert stored["ContentType"] == "image/png"
    assert api.unfinished_uploads() == 0


@pytest.mark.parametrize(
    ("kind", "media_type", "mode"),
    [
        ("PNG", "image/png", "RGB"),
        ("PNG", "image/png", "RGBA"),
        ("PNG", "image/png", "1"),
        ("PNG", "image/png", "P"),
        ("PNG", "image/png", "I;16"),
        ("WEBP", "image/webp", "RGB"),
        ("TIFF", "image/tiff", "L"),
        ("TIFF", "image/tiff", "F"),
        ("AVIF", "image/avif", "RGB"),
        ("JPEG", "image/jpeg", "CMYK"),
    ],
)
async def test_the_bytes_decide_the_type_whatever_the_name_says(
    account: "Account", photo_bytes: "PhotoMaker", kind: str, media_type: str, mode: str
) -> None:
    reply = await account.upload(photo_bytes(kind=kind, mode=mode), "file-upload-1.jpg")

    assert reply.status_code == 201, reply.text
    assert reply.json()["mime_type"] == media_type


async def test_a_heic_photo_is_taken(account: "Account", photo_bytes: "PhotoMaker") -> None:
    target = io.BytesIO()
    with Image.open(io.BytesIO(photo_bytes((64, 32)))) as image:
        pillow_heif.from_pillow(image).save(target)

    reply = await account.upload(target.getvalue())

    assert reply.status_code == 201, reply.text
    assert reply.json()["mime_type"] == "image/heic"
    assert reply.json()["metadata"]["dimensions"] == {"width": 64, "height": 32}


async def test_a_photo_taken_sideways_is_measured_and_shown_upright_and_its_thumbnail_tells_nothing_else(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret description"
    reply = await account.upload(photo_bytes((64, 32), exif=exif, comment=b"a secret comment"))

    photo = reply.json()
    assert photo["metadata"]["dimensions"] == {"width": 32, "height": 64}
    thumbnail = api.s3.get_object(Bucket=api.bucket, Key=photo["thumbnail_key"])["Body"].read()
    assert b"secret" not in thumbnail
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.size == (32, 64)


async def test_the_same_bytes_again_are_answered_with_the_photo_that_exists(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    first = await account.upload(content, "file-upload-1.jpg")
    again = await account.upload(content, "file-upload-2.jpg")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert len(api.rows("SELECT id FROM photos")) == 1
    assert len(api.keys()) == 2


async def test_two_users_with_the_same_bytes_have_a_photo_each(api: "Api", photo_bytes: "PhotoMaker") -> None:
    content = photo_bytes()

    assert await api.account().photo(content) != await api.account().photo(content)


async def test_equal_uploads_that_race_make_one_photo(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", large_photo: bytes
) -> None:
    for content in (photo_bytes(), large_photo):
        ids = await asyncio.gather(*(account.photo(content) for _ in range(4)))
        assert len(set(ids)) == 1

    assert len(api.rows("SELECT id FROM photos")) == 2
    assert len(api.keys()) == 4
    assert api.unfinished_uploads() == 0


async def test_a_deleted_photo_can_be_uploaded_again(account: "Account", photo_bytes: "PhotoMaker") -> None:
    content = photo_bytes()
    first = await account.photo(content)
    await account.http.delete(f"/api/v1/photos/{first}")

    again = await account.upload(content)

    assert again.status_code == 201
    assert again.json()["id"] != first


def bomb(side: int, *, depth: int, colour: int) -> bytes:
    """A black square as PNG: of so many bits a sample, grey (0) or in colours (2)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = 1 + side * depth * (3 if colour else 1) // 8
    pixels = zlib.compress(bytes(row * side), 9)
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


BAD_FILES = {
    "not an image": (lambda _: b"To whom it may concern. " * 40, 415, "unsupported_image"),
    "empty": (lambda _: b"", 422, "missing_file"),
    "three bytes": (lambda _: b"\xff\xd8\xff", 422, "unreadable_image"),
    "truncated": (lambda make: make((400, 300))[:-900], 422, "unreadable_image"),
    "truncated PNG": (lambda make: make((400, 300), "PNG")[:900], 422, "unreadable_image"),
    "a GIF": (lambda make: make(kind="GIF"), 415, "unsupported_image"),
    "a page in the clothes of a JPEG": (
        lambda _: b"\xff\xd8\xff<html><script>alert(1)</script>",
        422,
        "unreadable_image",
    ),
    "196 megapixels in 24 KB": (lambda _: bomb(14_000, depth=1, colour=0), 413, "image_too_large"),
}


@pytest.mark.parametrize("name", BAD_FILES)
async def test_a_bad_file_gets_a_clear_reply_and_leaves_nothing(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", name: str
) -> None:
    make, status, code = BAD_FILES[name]

    reply = await account.upload(make(photo_bytes))

    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == code
    assert isinstance(reply.json()["detail"], str)
    assert api.nothing_left()


async def test_a_photo_that_needs_more_memory_than_a_decoder_has_is_too_large(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    api = await start_api(inspection_memory_bytes=96 * 1024 * 1024)
    account = api.account()

    # 36 megapixels, which are fewer than are taken, in 108 MB.
    reply = await account.upload(bomb(6000, depth=8, colour=2))

    assert (reply.status_code, reply.json()["code"]) == (413, "image_too_large")
    assert api.nothing_left()
    assert (await account.upload(photo_bytes())).status_code == 201


async def test_a_photo_that_takes_longer_than_a_decoder_has_is_given_up(start_api: "StartApi") -> None:
    api = await start_api(inspection_seconds=1)
    target = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(target, "JPEG", progressive=True)
    whole = target.getvalue()
    last = whole.rindex(b"\xff\xda")
    # Each of a thousand scans of 31 bytes has the decoder go through the whole picture again: ten seconds in all.
    slow = whole[:last] + whole[last:-2] * 1000 + whole[-2:]

    reply = await api.account().upload(slow)

    assert (reply.status_code, reply.json()["code"]) == (422, "unreadable_image")
    assert api.nothing_left()


async def test_a_large_truncated_photo_leaves_no_part_in_storage(
    api: "Api", account: "Account", large_photo: bytes
) -> None:
    reply = await account.upload(large_photo[:-100_000])

    assert reply.json()["code"] == "unreadable_image"
    assert api.nothing_left()


async def test_sixty_megabytes_are_too_much(api: "Api", account: "Account") -> None:
    reply = await account.upload(b"\xff\xd8\xff" + bytes(60_000_000))

    assert reply.status_code == 413
    assert reply.json()["code"] == "upload_too_large"
    assert "50 MiB" in reply.json()["detail"]
    assert api.nothing_left()


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(start_api: "StartApi") -> None:
    api = await start_api(max_upload_bytes=6_000_000)

    async def body() -> "AsyncIterator[bytes]":
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\xff\xd8\xff'
        for _ in range(80):
            yield bytes(100_000)
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = await api.account().http.post("/api/v1/photos/upload", content=body(), headers=headers)

    assert reply.status_code == 413
    assert api.nothing_left()


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/json", b"{}", 400, "malformed_upload"),
        ("multipart/form-data", b"", 400, "malformed_upload"),
        ("multipart/form-data; boundary=b", b"rubbish", 400, "malformed_upload"),
        ("multipart/form-data; boundary=" + "b" * 300, b"rubbish", 400, "malformed_upload"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; na", 400, "malformed_upload"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
            422,
            "missing_file",
        ),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    api: "Api", account: "Account", content_type: str, body: bytes, status: int, code: str
) -> None:
    reply = await account.http.post("/api/v1/photos/upload", content=body, headers={"Content-Type": content_type})

    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert api.nothing_left()


async def test_other_parts_of_the_form_are_ignored(account: "Account", photo_bytes: "PhotoMaker") -> None:
    content = photo_bytes()
    reply = await account.http.post(
        "/api/v1/photos/upload", files={"file": ("a.jpg", content, "image/jpeg")}, data={"note": "x" * 2000}
    )

    assert reply.status_code == 201
    assert reply.json()["checksum_sha256"] == hashlib.sha256(content).hexdigest()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begun(api: "Api", account: "Account", content: bytes, sent: int) -> Connection:
    """Send the beginning of an upload only."""
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    writer.write(
        b"POST /api/v1/photos/upload HTTP/1.1\r\nHost: localhost\r\n"
        + f"Authorization: Bearer {account.token}\r\n".encode()
        + b"Content-Type: multipart/form-data; boundary=b\r\n"
        + f"Content-Length: {len(head) + len(content) + 9}\r\n\r\n".encode()
        + head
        + content[:sent]
    )
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("sent", [100, 7_000_000])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    api: "Api", account: "Account", large_photo: bytes, soon: "Soon", sent: int
) -> None:
    _, writer = await begun(api, account, large_photo, sent)
    await soon(lambda: api.rows("SELECT id FROM photos"))
    if sent > 5_242_880:
        await soon(api.unfinished_uploads)
    writer.close()

    await soon(api.nothing_left)


@pytest.mark.parametrize("trickle", [b"", b"x"], ids=["nothing", "a byte now and then"])
async def test_an_upload_that_brings_next_to_nothing_is_given_up(
    api: "Api", account: "Account", large_photo: bytes, monkeypatch: pytest.MonkeyPatch, trickle: bytes
) -> None:
    monkeypatch.setattr(form, "_IDLE_SECONDS", 0.5)
    reader, writer = await begun(api, account, large_photo, 100)

    reply = asyncio.ensure_future(reader.read())
    async with asyncio.timeout(20):
        while not (await asyncio.wait([reply], timeout=0.05))[0]:
            writer.write(trickle)
    writer.close()

    head, _, body = reply.result().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "upload_stalled"
    assert api.nothing_left()


async def test_one_account_has_so_many_uploads_under_way_and_keeps_no_other_from_its_own(
    api: "Api",
    account: "Account",
    large_photo: bytes,
    photo_bytes: "PhotoMaker",
    soon: "Soon",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = [await begun(api, account, large_photo, 100) for _ in range(UPLOADS_OF_ONE_ACCOUNT)]
    await soon(lambda: len(api.rows("SELECT id FROM photos")) == UPLOADS_OF_ONE_ACCOUNT)
    with monkeypatch.context() as impatient:
        impatient.setattr(intake, "_SLOT_SECONDS", 0.2)
        refused = await account.upload(photo_bytes())
    others = await api.account().upload(photo_bytes())
    waiting = asyncio.create_task(account.upload(photo_bytes()))
    for _, writer in slow:
        writer.close()

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
    assert int(refused.headers["retry-after"]) > 0
    assert others.status_code == 201
    assert (await waiting).status_code == 201
    await soon(lambda: len(api.rows("SELECT id FROM photos")) == 2)


async def test_a_process_whose_slots_are_all_taken_says_so(
    start_api: "StartApi",
    large_photo: bytes,
    photo_bytes: "PhotoMaker",
    soon: "Soon",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = await start_api(uploads_at_once=1)
    _, writer = await begun(api, api.account(), large_photo, 100)
    await soon(lambda: api.rows("SELECT id FROM photos"))
    monkeypatch.setattr(intake, "_SLOT_SECONDS", 0.2)

    refused = await api.account().upload(photo_bytes())
    writer.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "uploads_busy")
    assert int(refused.headers["retry-after"]) > 0
    await soon(api.nothing_left)
    assert (await api.account().upload(photo_bytes())).status_code == 201


@pytest.mark.parametrize("given_up", ["UPDATE photos SET deleted_at = now()", "DELETE FROM photos"])
async def test_an_upload_that_is_given_up_under_way_leaves_nothing_also_when_its_row_is_swept(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", soon: "Soon", given_up: str
) -> None:
    content = photo_bytes()

    async def body() -> "AsyncIterator[bytes]":
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content[:100]
        await soon(lambda: api.rows("SELECT id FROM photos"))
        api.rows(given_up)
        yield content[100:] + b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = await account.http.post("/api/v1/photos/upload", content=body(), headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (408, "upload_stalled")
    assert api.nothing_left()


@pytest.mark.parametrize("end", [StorageUnavailableError("No answer."), asyncio.CancelledError()])
async def test_what_may_still_be_written_after_the_end_of_a_request_is_left_to_the_sweep(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    async def put(*_: object) -> None:
        raise end

    monkeypatch.setattr(ObjectStorage, "put", put)
    # Not the account's own client: what a cancelled request is answered with is not ours.
    async with httpx.AsyncClient(base_url=api.url, headers=account.http.headers, timeout=60) as http:
        reply = await http.post("/api/v1/photos/upload", files={"file": photo_bytes()})

    assert reply.status_code in {500, 503}
    assert api.rows("SELECT status, deleted_at IS NOT NULL FROM photos") == [("pending", True)]


async def test_storage_that_is_down_is_a_503_and_no_photo(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        api = await start_api(s3_endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        account = api.account()

        reply = await account.upload(photo_bytes())

        assert (reply.status_code, reply.json()["code"]) == (503, "storage_unavailable")
        assert api.rows("SELECT id FROM photos WHERE status = 'ready'") == []
