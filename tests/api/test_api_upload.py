"""Uploading: what is stored and answered, and that a refused upload leaves nothing."""

import asyncio
import hashlib
import io
import socket
import struct
import zlib
from typing import TYPE_CHECKING

import httpx
import pillow_heif
import pytest
from PIL import Image

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
    async with httpx.AsyncClient() as browser:
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


def bomb() -> bytes:
    """A PNG of 14,000 x 14,000 one-bit pixels in about 24 KB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 14_000
    pixels = zlib.compress(bytes((1 + side // 8) * side), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
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
    "196 megapixels in 24 KB": (lambda _: bomb(), 413, "image_too_large"),
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


@pytest.mark.parametrize("sent", [100, 7_000_000])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    api: "Api", account: "Account", large_photo: bytes, soon: "Soon", sent: int
) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    writer.write(
        b"POST /api/v1/photos/upload HTTP/1.1\r\nHost: localhost\r\n"
        + f"Authorization: Bearer {account.token}\r\n".encode()
        + b"Content-Type: multipart/form-data; boundary=b\r\n"
        + f"Content-Length: {len(large_photo)}\r\n\r\n".encode()
        + head
        + large_photo[:sent]
    )
    await writer.drain()
    await soon(lambda: api.rows("SELECT id FROM photos"))
    if sent > 5_242_880:
        await soon(api.unfinished_uploads)
    writer.close()

    await soon(api.nothing_left)


async def test_storage_that_is_down_is_a_503_and_no_photo(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        api = await start_api(s3_endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        account = api.account()

        reply = await account.upload(photo_bytes())

        assert (reply.status_code, reply.json()["code"]) == (503, "storage_unavailable")
        assert api.rows("SELECT id FROM photos WHERE status = 'ready'") == []
