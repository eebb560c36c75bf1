"""How photos look to clients."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from rekindle_api.attempts.models import RestoreAttempt
from rekindle_api.attempts.replies import AnimationAttemptReply, ProcessingJobReply, ResultReply
from rekindle_api.attempts.replies import downloads as attempt_downloads
from rekindle_api.attempts.serving import served
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
    expires_at: datetime | None = Field(
        default=None, description="When it is deleted, unless it is used before; never when null."
    )
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


class UploadForm(BaseModel):
    """A form that uploads one file straight to the photo storage; the photo counts after its complete call."""

    url: str = Field(description="Where to send the form, as multipart/form-data.")
    fields: dict[str, str] = Field(description="Its fields; the file follows them as the last one, named `file`.")
    key: str = Field(description="Where the file goes.")
    photo_id: uuid.UUID = Field(description="Names the photo in the complete call.")
    max_size_bytes: int
    expires_in: int = Field(description="Seconds until the form is refused.")


class Deleted(BaseModel):
    """What was deleted."""

    id: uuid.UUID
    deleted: bool = True
    objects_deleted: bool = Field(
        default=False,
        description="Whether the files are gone too; if not yet, they follow when what still ran has ended.",
    )
    message: str

    @classmethod
    def photo(cls, photo_id: uuid.UUID, *, objects_deleted: bool) -> Self:
        """Return the reply for a photo, which takes its files along: original, thumbnail, every result."""
        message = (
            "The photo, everything made of it and all their files are deleted."
            if objects_deleted
            else "The photo and everything made of it are deleted; their files follow when what still ran has ended."
        )
        return cls(id=photo_id, objects_deleted=objects_deleted, message=message)


def original_download(photo: Photo) -> Download:
    """Return the original as a download."""
    return Download(photo.original_key, _name(photo), photo.media_type, photo.bucket)


def thumbnail_download(photo: Photo) -> Download | None:
    """Return the thumbnail as a download."""
    if photo.thumbnail_key is None:
        return None
    return Download(photo.thumbnail_key, f"{_name(photo)}-thumbnail", bucket=photo.bucket)


def downloads(photo: Photo, newest: RestoreAttempt | None, *, watermarked: bool) -> Iterable[Download]:
    """Yield what can be downloaded of a photo; `newest` is its newest completed restoration."""
    yield original_download(photo)
    if (thumbnail := thumbnail_download(photo)) is not None:
        yield thumbnail
    if newest is not None:
        yield from attempt_downloads(newest, watermarked=watermarked)


def photo_reply(
    photo: Photo, newest: RestoreAttempt | None, urls: Mapping[str, str], *, watermarked: bool
) -> PhotoReply:
    """Return a photo; `urls` holds the signed URL of each key."""
    processed_key = served(newest, watermarked=watermarked).result if newest is not None else None
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
        expires_at=photo.expires_at,
        metadata=photo.user_metadata | {"dimensions": {"width": photo.width, "height": photo.height}},
        original_url=urls.get(photo.original_key),
        processed_url=urls.get(processed_key or ""),
        thumbnail_url=urls.get(photo.thumbnail_key or ""),
    )


def _name(photo: Photo) -> str:
    return f"rekindle-{photo.created_at:%Y-%m-%d}-{photo.id.hex[-8:]}"
