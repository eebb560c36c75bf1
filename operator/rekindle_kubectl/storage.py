"""S3 with the caller's own credentials: photos go up, results come down. The one module that calls S3."""

import base64
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - the name that botocore gave it
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from rekindle_crds import OutputLocation, SourceLocation
from rekindle_kubectl.errors import PluginError, StorageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PIECE = 1 << 20
_LOGIN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or log in with `aws sso login`"
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "ExpiredTokenException"}


class Storage:
    """The object store that the usual AWS settings name; the client is made on first use."""

    def __init__(self) -> None:
        self._client: S3Client | None = None

    def upload(self, path: Path, location: SourceLocation, sha256: str) -> None:
        """Store a file under a key that belongs to its content; one that is there already is left as it is.

        Raises:
            StorageError: S3 refuses, or the file changed since it was read.
        """
        with _told(location.bucket), path.open("rb") as photo:
            client = self._connect()
            if self._size(client, location) == os.fstat(photo.fileno()).st_size:
                return
            client.put_object(
                Bucket=location.bucket,
                Key=location.key,
                Body=photo,
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
            )

    def download(self, location: OutputLocation, key: str, sha256: str, target: Path, *, force: bool) -> bool:
        """Write an object to a file, which appears whole or not at all.

        Args:
            location: The bucket is taken from here.
            key: Key of the object.
            sha256: What its bytes must have.
            target: The file.
            force: Whether a file that is there is replaced.

        Returns:
            False when the file with this content was there already.

        Raises:
            StorageError: S3 refuses, or the bytes are not those that were promised.
            PluginError: Another file is in the way.
        """
        if target.exists() and not force:
            if digest_of(target) == sha256:
                return False
            raise in_the_way(target)
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".rekindle-") as folder:
                whole = Path(folder) / "result"
                self._fetch(location.bucket, key, sha256, whole)
                _place(whole, target, force=force)
        except OSError as error:
            raise StorageError(f"Can't write {target}: {error.strerror or error}.") from error
        return True

    def _fetch(self, bucket: str, key: str, sha256: str, whole: Path) -> None:
        hashed = hashlib.sha256()
        with _told(bucket), whole.open("wb") as file:
            body = self._connect().get_object(Bucket=bucket, Key=key)["Body"]
            with contextlib.closing(body):
                for piece in body.iter_chunks(_PIECE):
                    hashed.update(piece)
                    file.write(piece)
        if hashed.hexdigest() != sha256:
            raise StorageError(
                f"s3://{bucket}/{key} is not what the job wrote: its SHA-256 is {hashed.hexdigest()}, the job's status "
                f"says {sha256}. Nothing was saved."
            )

    def _connect(self) -> "S3Client":
        if self._client is None:
            client = _client(Config())
            if ".amazonaws.com" not in client.meta.endpoint_url:
                # boto3's default checksum trailers break servers that are not AWS, and their names are rarely in DNS.
                client = _client(
                    Config(
                        s3={"addressing_style": "path"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    )
                )
            self._client = client
        return self._client

    def _size(self, client: "S3Client", location: SourceLocation) -> int | None:
        """Return the size of an object; None when there is none, or when that is not ours to know."""
        try:
            return client.head_object(Bucket=location.bucket, Key=location.key)["ContentLength"]
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {403, 404}:
                return None
            raise


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_the_way(target: Path) -> PluginError:
    """Return the error for a file that would have to be overwritten."""
    return PluginError(f"{target} exists already: give --force to replace it, or -o DIR to save elsewhere.")


def _place(whole: Path, target: Path, *, force: bool) -> None:
    if force:
        whole.replace(target)
        return
    try:
        target.hardlink_to(whole)  # unlike a rename, it never replaces a file that appeared meanwhile
    except FileExistsError as error:
        raise in_the_way(target) from error
    except OSError:  # a file system without hard links
        if target.exists():
            raise in_the_way(target) from None
        whole.replace(target)


def _client(extra: Config) -> "S3Client":
    common = Config(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    try:
        return boto3.client("s3", config=common.merge(extra))
    except ValueError as error:  # what botocore says of an endpoint that is no URL
        raise StorageError(f"S3: {error}: check AWS_ENDPOINT_URL_S3 and AWS_REGION.") from error


@contextlib.contextmanager
def _told(bucket: str) -> Iterator[None]:
    """Turn what S3 and its client say into a sentence."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise StorageError(f"There are no S3 credentials ({error}): {_LOGIN}.") from error
    except ClientError as error:
        raise StorageError(_refusal(bucket, error)) from error
    except ConnectionError as error:
        url = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
        where = f"S3 at {url.scheme}://{url.netloc}" if url.netloc else "S3"
        raise StorageError(f"{where} cannot be reached: check AWS_ENDPOINT_URL_S3 and AWS_REGION.") from error
    except BotoCoreError as error:
        raise StorageError(f"S3: {error}.") from error


def _refusal(bucket: str, error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    doing = {"PutObject": "write", "HeadObject": "look", "GetObject": "read"}.get(error.operation_name, "work")
    if code == "NoSuchBucket":
        return f"There is no bucket {bucket!r}: name another with --bucket, or check AWS_ENDPOINT_URL_S3."
    if code in _REFUSED:
        return f"S3 does not accept these credentials ({code}): {_LOGIN}."
    if code == "NoSuchKey":
        return f"The result is no longer in bucket {bucket!r}: somebody deleted it."
    if status == 403:
        return f"S3 does not let you {doing} in bucket {bucket!r} ({code}): ask its owner for the right."
    if code in {"BadDigest", "XAmzContentSHA256Mismatch"}:
        return "The photo changed while it was uploaded; try again."
    return f"S3 refused to {doing} in bucket {bucket!r}: {error}."
