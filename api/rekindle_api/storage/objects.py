"""Objects in the bucket. Calls to S3 block, so they run in a bounded pool of threads."""

import asyncio
import base64
import copy
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import Request

from rekindle_api.problems import Problem
from rekindle_api.settings import StorageSettings
from rekindle_api.storage.client import make_client
from rekindle_api.storage.forms import Form, UploadTerms, make_form
from rekindle_api.storage.signing import Download, SignedUrls, sign

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

P = ParamSpec("P")
T = TypeVar("T")
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload", "NoSuchBucket"}
_CHANGED = {"412", "PreconditionFailed"}
_CHUNK_BYTES = 1024 * 1024


class StorageUnavailableError(Problem):
    """S3 did not answer, or refused."""

    status = 503
    code = "storage_unavailable"
    title = "Storage is unavailable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed


class ObjectMissingError(StorageUnavailableError):
    """S3 has no such object, upload or bucket."""


class ObjectChangedError(StorageUnavailableError):
    """The object is not the one that was looked at before."""


@dataclass(frozen=True)
class ObjectInfo:
    """What S3 knows of one object."""

    key: str
    size_bytes: int
    etag: str
    media_type: str


class ObjectStorage:
    """One bucket."""

    def __init__(self, settings: StorageSettings) -> None:
        self.bucket = settings.s3_bucket
        self._client = make_client(settings, settings.s3_endpoint_url)
        public = settings.s3_public_endpoint_url
        self._signer = make_client(settings, public) if public else self._client
        self._threads = ThreadPoolExecutor(settings.s3_threads, thread_name_prefix="s3")
        # Apart from the others: who only reads must not wait until an S3 that hangs lets go of them.
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="s3-signing")
        self._signed = SignedUrls()

    def of(self, bucket: str) -> Self:
        """Return the same storage with another bucket: rows say where their objects were put, settings change."""
        other = copy.copy(self)
        other.bucket = bucket
        return other

    async def put(self, key: str, body: bytes, media_type: str, sha256: bytes | None = None) -> None:
        """Write one object; S3 refuses it when its bytes have another digest."""
        checksum = {} if sha256 is None else {"ChecksumSHA256": base64.b64encode(sha256).decode()}
        await self._call(
            self._client.put_object,
            Bucket=self.bucket,
            Key=key,
            Body=body,
            ContentType=media_type,
            **checksum,  # type: ignore[arg-type] # the stubs type each argument on its own
        )

    async def begin_parts(self, key: str, media_type: str) -> str:
        """Begin a multipart upload; return its id."""
        begun = await self._call(
            self._client.create_multipart_upload, Bucket=self.bucket, Key=key, ContentType=media_type
        )
        return begun["UploadId"]

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> "CompletedPartTypeDef":
        """Upload one part, counted from 1."""
        part = await self._call(
            self._client.upload_part, Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
        )
        return {"PartNumber": number, "ETag": part["ETag"]}

    async def finish_parts(self, key: str, upload_id: str, parts: "Sequence[CompletedPartTypeDef]") -> None:
        """Make the object from its parts."""
        await self._call(
            self._client.complete_multipart_upload,
            Bucket=self.bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": list(parts)},
        )

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what S3 knows of an object; None when there is none."""
        try:
            found = await self._call(self._client.head_object, Bucket=self.bucket, Key=key)
        except ObjectMissingError:
            return None
        return ObjectInfo(key, found["ContentLength"], found["ETag"], found["ContentType"])

    async def read(self, key: str, limit: int) -> bytes | None:
        """Return an object's first `limit` bytes; None when there is none."""

        def get() -> bytes:
            with closing(self._client.get_object(Bucket=self.bucket, Key=key)["Body"]) as body:
                return body.read(limit)

        try:
            return await self._call(get)
        except ObjectMissingError:
            return None

    async def chunks(self, key: str, etag: str | None = None) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes as they come, little by little.

        Raises:
            ObjectMissingError: there is none.
            ObjectChangedError: it is not the one with this `etag`.
        """
        condition = {} if etag is None else {"IfMatch": etag}

        def get() -> "StreamingBody":
            found = self._client.get_object(
                Bucket=self.bucket,
                Key=key,
                **condition,  # type: ignore[arg-type] # the stubs type each argument on its own
            )
            return found["Body"]

        step: Future[Any]
        step = opening = self._threads.submit(get)
        try:
            body = await _result(opening)
            while True:
                step = self._threads.submit(body.read, _CHUNK_BYTES)
                if not (chunk := await _result(step)):
                    return
                yield chunk
        finally:
            # Whoever stops waiting leaves a thread behind in the middle of its step: it closes what it opened.
            step.add_done_callback(lambda _: _close(opening))

    async def copy(self, source: ObjectInfo, key: str, media_type: str) -> None:
        """Write an object with the bytes of another, on the side of S3.

        Raises:
            ObjectMissingError: the other is gone.
            ObjectChangedError: the other has changed.
        """
        await self._call(
            self._client.copy_object,
            Bucket=self.bucket,
            Key=key,
            CopySource={"Bucket": self.bucket, "Key": source.key},
            CopySourceIfMatch=source.etag,
            MetadataDirective="REPLACE",
            ContentType=media_type,
        )

    async def list_keys(self, prefix: str) -> list[str]:
        """Return the keys of every object under a prefix."""

        def pages() -> list[str]:
            listed = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [item["Key"] for page in listed for item in page.get("Contents", [])]

        return await self._call(pages)

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every object under a prefix, and drop every unfinished upload there. Safe to repeat.

        Raises:
            StorageUnavailableError: something is left.
        """

        def delete() -> None:
            client, bucket = self._client, self.bucket
            refused: set[str] = set()
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                if keys := [item["Key"] for item in page.get("Contents", [])]:
                    answer = client.delete_objects(
                        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                    )
                    refused |= {error.get("Code", "") for error in answer.get("Errors", [])}
            for uploads in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
                for upload in uploads.get("Uploads", []):
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            if refused:
                # S3 answers 200 all the same.
                cause = f"DeleteObjects: {', '.join(sorted(refused))}"
                raise StorageUnavailableError("Some objects could not be deleted.", cause)

        await self._call(delete)

    async def check(self) -> None:
        """Ask S3 for the bucket.

        Raises:
            StorageUnavailableError: when it cannot be reached.
        """
        try:
            await self._call(self._client.head_bucket, Bucket=self.bucket)
        except ObjectMissingError:
            raise StorageUnavailableError("The bucket does not exist.") from None

    async def signed_urls(self, downloads: Iterable[Download], seconds: int) -> dict[str, str]:
        """Return a signed URL for each download, by its key: good for half of `seconds` at least, and often the same.

        Signing is local, but may have to fetch credentials.
        """
        wanted = {item.key: item for item in downloads}
        found = self._signed.find(self.bucket, wanted.values(), seconds)
        if missing := [item for key, item in wanted.items() if key not in found]:
            signed_at = time.monotonic()
            signed = await _result(
                self._signing.submit(lambda: {item: sign(self._signer, self.bucket, item, seconds) for item in missing})
            )
            self._signed.keep(self.bucket, signed, seconds, signed_at)
            found |= {item.key: url for item, url in signed.items()}
        return found

    async def signed_url(self, download: Download, seconds: int) -> str:
        """Return a signed URL that is good for `seconds` from now."""
        return await _result(self._signing.submit(sign, self._signer, self.bucket, download, seconds))

    async def upload_form(self, key: str, terms: UploadTerms, seconds: int) -> Form:
        """Return the form with which a browser uploads the object `key` within `seconds`."""
        return await _result(self._signing.submit(make_form, self._signer, self.bucket, key, terms, seconds))

    def close(self) -> None:
        """End the threads and the connections."""
        for threads in (self._threads, self._signing):
            threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        self._signer.close()

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _result(self._threads.submit(function, *args, **kwargs))


async def _result(step: Future[T]) -> T:
    """Wait for a call to S3; its errors become problems of ours."""
    try:
        return await asyncio.wrap_future(step)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise ObjectMissingError(code) from error
        if code in _CHANGED:
            raise ObjectChangedError(code) from error
        cause = f"{error.operation_name}: {code}"
        raise StorageUnavailableError("The photo storage refused the request.", cause) from error
    except BotoCoreError as error:
        raise StorageUnavailableError("The photo storage cannot be reached.") from error


def _close(opening: "Future[StreamingBody]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def storage_of(request: Request) -> ObjectStorage:
    """Return the application's object storage."""
    storage: ObjectStorage = request.app.state.storage
    return storage
