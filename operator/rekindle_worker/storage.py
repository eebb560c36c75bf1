"""S3 as the worker uses it: stream the source down, put outputs with their checksum, create the manifest once."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError
from urllib3.exceptions import HTTPError

from rekindle_crds import ExitCode, SourceLocation
from rekindle_worker.failure import WorkFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1024 * 1024
_DOWNLOAD_TRIES = 3
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    signature_version="s3v4",
)
_REFUSED = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403"}
)
_ABSENT = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


class ManifestExistsError(Exception):
    """Somebody has created the object first."""


class WriteConflictError(Exception):
    """Another writer is in the middle of creating the object."""


class Storage:
    """A client of one S3 endpoint, with credentials and endpoint from the environment."""

    def __init__(self, client: "S3Client | None" = None) -> None:
        self._client = client or s3_client()

    def download(
        self, source: SourceLocation, target: Path, *, most_bytes: int, on_progress: Callable[[float], None]
    ) -> str:
        """Stream an object into a file and return the SHA-256 of its bytes.

        Raises:
            WorkFailed: SourceNotFound, SourceForbidden, ImageTooLarge or StorageUnavailable.
        """
        for attempt in range(1, _DOWNLOAD_TRIES + 1):
            try:
                return self._download_once(source, target, most_bytes, on_progress)
            except (BotoCoreError, HTTPError) as error:
                if isinstance(error, NoCredentialsError | CredentialRetrievalError):
                    raise WorkFailed(ExitCode.SOURCE_FORBIDDEN, "there are no S3 credentials to read with") from error
                if attempt == _DOWNLOAD_TRIES:
                    raise _unavailable(error) from error
        raise AssertionError("unreachable")

    def _download_once(
        self, source: SourceLocation, target: Path, most_bytes: int, on_progress: Callable[[float], None]
    ) -> str:
        with _errors(ExitCode.SOURCE_NOT_FOUND, ExitCode.SOURCE_FORBIDDEN, f"source {source.bucket}/{source.key}"):
            answer = self._client.get_object(Bucket=source.bucket, Key=source.key)
        digest, done, length = hashlib.sha256(), 0, answer["ContentLength"]
        with closing(answer["Body"]) as body:
            if length > most_bytes:
                raise WorkFailed(
                    ExitCode.IMAGE_TOO_LARGE, f"the source has {length} bytes; at most {most_bytes} bytes are accepted"
                )
            with target.open("wb") as file:
                for chunk in body.iter_chunks(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    on_progress(done / max(1, length))
        return digest.hexdigest()

    def upload(self, bucket: str, key: str, path: Path, *, sha256: str, media_type: str) -> None:
        """Put a file; S3 refuses it when the bytes that arrive have another SHA-256.

        Raises:
            WorkFailed: OutputForbidden or StorageUnavailable.
        """
        with (
            _errors(ExitCode.OUTPUT_FORBIDDEN, ExitCode.OUTPUT_FORBIDDEN, f"output {bucket}/{key}"),
            path.open("rb") as file,
        ):
            self._client.put_object(
                Bucket=bucket, Key=key, Body=file, ContentType=media_type, ChecksumSHA256=_base64(sha256)
            )

    def create(self, bucket: str, key: str, body: bytes) -> None:
        """Put an object unless there is one.

        Raises:
            ManifestExistsError: There is one already.
            WriteConflictError: Another writer is in the middle of it; try again.
            WorkFailed: OutputForbidden or StorageUnavailable.
        """
        with _errors(ExitCode.OUTPUT_FORBIDDEN, ExitCode.OUTPUT_FORBIDDEN, f"output {bucket}/{key}"):
            try:
                self._client.put_object(
                    Bucket=bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    ChecksumSHA256=_base64(hashlib.sha256(body).hexdigest()),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == 412:
                    raise ManifestExistsError from error
                if status == 409:
                    raise WriteConflictError from error
                raise

    def read(self, bucket: str, key: str, most_bytes: int) -> bytes | None:
        """Return the first bytes of an object, or None when there is none.

        Raises:
            WorkFailed: OutputForbidden or StorageUnavailable.
        """
        with _errors(ExitCode.OUTPUT_FORBIDDEN, ExitCode.OUTPUT_FORBIDDEN, f"output {bucket}/{key}"):
            try:
                with self._client.get_object(Bucket=bucket, Key=key)["Body"] as body:
                    return body.read(most_bytes)
            except ClientError as error:
                # Without the right to list, S3 answers 403 for a key that does not exist.
                if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                    return None
                raise
            except HTTPError as error:
                raise _unavailable(error) from error

    def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete objects one by one; a key that does not exist is fine.

        Raises:
            WorkFailed: OutputForbidden or StorageUnavailable.
        """
        for key in keys:
            with _errors(ExitCode.OUTPUT_FORBIDDEN, ExitCode.OUTPUT_FORBIDDEN, f"output {bucket}/{key}"):
                self._client.delete_object(Bucket=bucket, Key=key)


def s3_client() -> "S3Client":
    """Return a client with endpoint, region and credentials from the environment."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    # Self-hosted stores are mostly reached under one name, without one DNS name per bucket.
    config = _CONFIG.merge(Config(s3={"addressing_style": "path"})) if endpoint else _CONFIG
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.client("s3", region_name=region, config=config)


@contextmanager
def _errors(absent: ExitCode, refused: ExitCode, what: str) -> Iterator[None]:
    """Turn S3's answers into failures of the contract; messages name the object, never a credential."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _ABSENT or status == 404:
            raise WorkFailed(absent, f"S3 answers {code or status} for the {what}") from error
        if code in _REFUSED or status in {401, 403}:
            raise WorkFailed(refused, f"S3 answers {code or status} for the {what}") from error
        raise WorkFailed(ExitCode.STORAGE_UNAVAILABLE, f"S3 answers {code or status} for the {what}") from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise WorkFailed(refused, f"there are no S3 credentials for the {what}") from error
    except BotoCoreError as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> WorkFailed:
    # The class says what happened; the text may hold the endpoint with user information.
    return WorkFailed(ExitCode.STORAGE_UNAVAILABLE, f"S3 does not answer ({type(error).__name__})")


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")
