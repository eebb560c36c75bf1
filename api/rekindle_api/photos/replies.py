"""How photos look to clients."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.attempts.replies import AnimationAttemptReply, ProcessingJobReply, ResultReply
from rekindle_api.attempts.replies import downloads as attempt_downloads
from rekindle_api.photos.models import Photo
from rekindle_api.storage import Download


class PhotoReply(BaseModel):
    """One photo."""

    id: uuid.UUID
    owner_id: uuid.UUID
    original_key: str
    processed_key: str | None = Field(description="Key of the newest result.")
    thumbnail_key: str | None
    storage_bucket: str
    status: str
    size_bytes: int | None
    mime_type: str | None
    checksum_sha256: str | None
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any] = Field(description="What the owner noted, and `dimensions`: the upright size in pixels.")
    original_url: str | None = None
    processed_url: str | None = None
    thumbnail_url: str | None = None


class PhotoPage(BaseModel):
    """A page of the owner's photos, newest first."""

    photos: list[PhotoReply]
    total: int
    limit: int
    offset: int


class PhotoDetail(BaseModel):
    """A photo with what was made of it."""

    photo: PhotoReply
    results: list[ResultReply] = Field(description="Completed restorations.")
    animations: list[AnimationAttemptReply] = Field(description="Completed animations.")
    processing_jobs: list[ProcessingJobReply] = Field(serialization_alias="processingJobs")
    related_photos: list[PhotoReply] = Field(serialization_alias="relatedPhotos")


class DownloadUrl(BaseModel):
    """A signed address of one object."""

    url: str
    expires_in: int = Field(description="Seconds until the address stops working.")


class Deleted(BaseModel):
    """What was deleted."""

    id: uuid.UUID
    deleted: bool = True
    message: str


def original_download(photo: Photo) -> Download:
    """Return the original as a download."""
    return Download(photo.original_key, _name(photo), photo.media_type, photo.bucket)


def thumbnail_download(photo: Photo) -> Download | None:
    """Return the thumbnail as a download."""
    if photo.thumbnail_key is None:
        return None
    return Download(photo.thumbnail_key, f"{_name(photo)}-thumbnail", bucket=photo.bucket)


def downloads(photo: Photo, newest: RestoreAttempt | None) -> Iterable[Download]:
    """Yield what can be downloaded of a photo; `newest` is its newest completed restoration."""
    yield original_download(photo)
    if (thumbnail := thumbnail_download(photo)) is not None:
        yield thumbnail
    if newest is not None:
        yield from attempt_downloads(newest)


def photo_reply(photo: Photo, newest: RestoreAttempt | None, urls: Mapping[str, str]) -> PhotoReply:
    """Return a photo; `urls` holds the signed URL of each key."""
    processed_key = newest.result_key if newest is not None else None
    return PhotoReply(
        id=photo.id,
        owner_id=photo.owner_id,
        original_key=photo.original_key,
        processed_key=processed_key,
        thumbnail_key=photo.thumbnail_key,
        storage_bucket=photo.bucket,
        status=photo.status,
        size_bytes=photo.size_bytes,
        mime_type=photo.media_type,
        checksum_sha256=photo.sha256,
        created_at=photo.created_at,
        updated_at=photo.updated_at,
        metadata=photo.user_metadata | {"dimensions": {"width": photo.width, "height": photo.height}},
        original_url=urls.get(photo.original_key),
        processed_url=urls.get(processed_key or ""),
        thumbnail_url=urls.get(photo.thumbnail_key or ""),
    )


def _name(photo: Photo) -> str:
    return f"rekindle-{photo.created_at:%Y-%m-%d}-{photo.id.hex[-8:]}"
