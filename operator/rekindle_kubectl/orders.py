"""From the photos on a command line to the jobs that are to be made, and the files their results become. Pure."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rekindle_crds import (
    AnimationJob,
    AnimationParameters,
    AnimationSource,
    RestoreJob,
    RestoreParameters,
    SourceLocation,
)
from rekindle_crds.crd import ANIMATION_JOB, RESTORE_JOB, Resource
from rekindle_crds.restore import ImageFormat
from rekindle_kubectl.errors import UsageError
from rekindle_kubectl.jobs import Job, Json, read, refer

Parameters = RestoreParameters | AnimationParameters
_SUFFIXES = {ImageFormat.JPEG: "jpg", ImageFormat.PNG: "png", ImageFormat.WEBP: "webp"}
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Photo:
    """What one argument names: a file, an object in S3, or the result of a RestoreJob."""

    argument: str
    stem: str
    """Name of the photo without folder and suffix."""
    path: Path | None = None
    digest: str = ""
    """SHA-256 of the file."""
    source: SourceLocation | None = None
    """Where the photo is, or comes to be; None for the result of a RestoreJob."""
    restore_job: str | None = None

    @property
    def identity(self) -> str:
        """What two photos have in common only when they are the same."""
        if self.source is None:
            return f"restorejob {self.restore_job}"
        return self.digest or f"{self.source.bucket} {self.source.key}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for all photos of a command line."""

    parameters: Parameters
    bucket: str | None
    prefix: str
    name: str | None = None
    engine: str | None = None
    priority: int | None = None
    queue: str | None = None
    folder: Path | None = None
    """Where results are saved; beside the photo when left out."""


@dataclass(frozen=True, slots=True)
class Order:
    """One job to make."""

    resource: Resource
    photo: Photo
    body: Json
    target: Path
    """The file that the result becomes."""

    @property
    def name(self) -> str:
        """Name of the job."""
        return str(self.body["metadata"]["name"])

    @property
    def reference(self) -> str:
        """Name of the job with its kind."""
        return refer(self.resource, self.name)


def file_photo(path: Path, digest: str, bucket: str | None, prefix: str) -> Photo:
    """Return the photo that a file is; it comes to lie in the bucket under a key that belongs to its content.

    Raises:
        UsageError: No bucket, or one that cannot exist.
    """
    if bucket is None:
        raise UsageError(f"{path}: a file is uploaded first; name a bucket with --bucket or REKINDLE_BUCKET.")
    suffix = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())
    source = _located(str(path), bucket=bucket, key=f"{prefix}/photos/{digest}{suffix}")
    return Photo(str(path), path.stem, path=path, digest=digest, source=source)


def object_photo(url: str) -> Photo:
    """Return the photo that s3://bucket/key names.

    Raises:
        UsageError: It names no object.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    source = _located(url, bucket=bucket, key=key)
    return Photo(url, Path(key).stem, source=source)


def order_of(resource: Resource, photo: Photo, wishes: Wishes, result_bucket: str | None = None) -> Order:
    """Return the job to make for a photo.

    Args:
        resource: The kind of job.
        photo: What is to be done.
        wishes: How.
        result_bucket: Bucket of the result when no other is named.

    Raises:
        UsageError: What is asked for makes no valid job.
    """
    bucket = wishes.bucket or (photo.source.bucket if photo.source is not None else result_bucket)
    name = wishes.name or _name(resource, photo, wishes, bucket)
    source: SourceLocation | AnimationSource | None = photo.source
    if resource is ANIMATION_JOB:
        location = {} if photo.source is None else dict(photo.source)
        source = AnimationSource(**location, restore_job_name=photo.restore_job)
    spec: dict[str, Any] = {
        "source": source,
        "output": {"bucket": bucket, "prefix": f"{wishes.prefix}/results/{name}"},
        "restore" if resource is RESTORE_JOB else "animation": wishes.parameters,
        "engineName": wishes.engine,
        "priority": wishes.priority,
        "queueName": wishes.queue,
    }
    given = {field: value for field, value in spec.items() if value is not None}
    body = {
        "apiVersion": "rekindle.dev/v1alpha1",
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "unset"},
        "spec": given,
    }
    model = RestoreJob if resource is RESTORE_JOB else AnimationJob
    try:
        valid = model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{photo.argument}: {place}: {first['msg']}") from error
    wire = valid.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    wire["metadata"] = {"name": name}
    return Order(resource, photo, wire, _target(photo, wishes))


def same_work(wanted: Json, existing: Job) -> bool:
    """Whether a job that exists does what is wanted: the same source, output and parameters."""
    unplaced = {**wanted, "metadata": {"namespace": existing.metadata.namespace, **wanted["metadata"]}}
    fields = {"source", "output", "restore", "animation"}
    return read(unplaced).spec.model_dump(include=fields) == existing.spec.model_dump(include=fields)


def check_distinct(orders: Sequence[Order]) -> None:
    """Refuse a command line that means one job, or one file, twice.

    Raises:
        UsageError: It does.
    """
    seen: dict[object, Order] = {}
    for order in orders:
        for key in (order.name, order.target):
            other = seen.setdefault(key, order)
            if other is not order:
                raise UsageError(
                    f"{other.photo.argument} and {order.photo.argument} would both become {key}: give one at a time."
                )


def _located(argument: str, *, bucket: str, key: str) -> SourceLocation:
    try:
        return SourceLocation(bucket=bucket, key=key)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(
            f"{argument}: {first['loc'][0]} {bucket if first['loc'][0] == 'bucket' else key!r}: "
            f"{first['msg']}; write s3://BUCKET/KEY"
        ) from error


def _name(resource: Resource, photo: Photo, wishes: Wishes, bucket: str | None) -> str:
    """Return the name that belongs to this photo and these wishes: the same again means the same job."""
    decisive = [resource.kind, photo.identity, wishes.parameters.wire(), bucket, wishes.prefix]
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]
    words = re.sub(r"[^a-z0-9]+", "-", photo.stem.lower()).strip("-")[:_NAME_LENGTH].rstrip("-")
    return f"{words or 'photo'}-{digest}"


def _target(photo: Photo, wishes: Wishes) -> Path:
    folder = wishes.folder or (photo.path.parent if photo.path is not None else Path())
    if isinstance(wishes.parameters, RestoreParameters):
        return folder / f"{photo.stem}-restored.{_SUFFIXES[wishes.parameters.format]}"
    return folder / f"{photo.stem}-animated.{wishes.parameters.format.value.lower()}"
