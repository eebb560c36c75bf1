"""How attempts look to clients. Their state travels in `s3_key`: pending, failed, or the key of the result."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from rekindle_api.attempts.models import AnimationAttempt, Attempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.serving import Served, served
from rekindle_api.storage import Download

PENDING_KEY = "pending"
FAILED_KEY = "failed"
_UNFULFILLED = (
    "What could not be done, by the names that the resource has for it: `colorize` for colour, `prompt` for wishes in "
    "words."
)


class Progress(BaseModel):
    """How far an attempt is."""

    percent: int
    stage: str | None


class ResultReply(BaseModel):
    """One completed restoration of a photo."""

    id: uuid.UUID
    job_id: uuid.UUID
    s3_key: str
    model: str | None
    params: dict[str, Any]
    created_at: datetime
    expires_at: datetime | None = Field(default=None, description="When it is deleted; it is kept for good when null.")
    url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None
    warnings: list[str] = []
    unfulfilled: list[str] = Field(default=[], description=_UNFULFILLED)
    watermarked: bool = Field(default=False, description="Whether the addresses lead to copies under a watermark.")
    credits_charged: int | None = Field(default=None, description="What it has cost: known when it has ended.")


class RestoreAttemptReply(ResultReply):
    """One attempt to restore a photo."""

    status: AttemptStatus
    progress: Progress | None = None
    reason: str | None = None
    message: str | None = None
    finished_at: datetime | None = None


class AnimationAttemptReply(BaseModel):
    """One attempt to animate a photo."""

    id: uuid.UUID
    job_id: uuid.UUID
    restore_id: uuid.UUID | None
    preview_s3_key: str
    result_s3_key: str | None
    thumb_s3_key: str | None
    model: str | None
    params: dict[str, Any]
    created_at: datetime
    preview_url: str | None
    result_url: str | None
    thumb_url: str | None
    status: AttemptStatus
    progress: Progress | None = None
    reason: str | None = None
    message: str | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = Field(default=None, description="When it is deleted; it is kept for good when null.")
    warnings: list[str] = []
    unfulfilled: list[str] = Field(default=[], description=_UNFULFILLED)
    watermarked: bool = Field(default=False, description="Whether the addresses lead to copies under a watermark.")
    credits_charged: int | None = Field(default=None, description="What it has cost: known when it has ended.")


class ProcessingJobReply(BaseModel):
    """One attempt that still runs."""

    id: uuid.UUID
    job_id: uuid.UUID
    type: str
    status: AttemptStatus
    progress: int
    stage: str | None
    created_at: datetime


def state_key(attempt: Attempt, result_key: str | None) -> str:
    """Return the key that tells the frontend an attempt's state: `result_key` once it is completed."""
    status = AttemptStatus(attempt.status)
    if status is AttemptStatus.COMPLETED and result_key is not None:
        return result_key
    return FAILED_KEY if status.finished else PENDING_KEY


def downloads(attempt: Attempt, *, watermarked: bool) -> Iterable[Download]:
    """Yield what the owner can download of an attempt, by the watermark rule of the owner's tier now."""
    if (result := result_download(attempt, watermarked=watermarked)) is not None:
        yield result
    name, keys = _file_name(attempt), served(attempt, watermarked=watermarked)
    if keys.preview is not None:
        yield Download(keys.preview, f"{name}-preview", bucket=attempt.bucket)
    if keys.thumbnail is not None:
        yield Download(keys.thumbnail, f"{name}-thumbnail", bucket=attempt.bucket)


def result_download(attempt: Attempt, *, watermarked: bool) -> Download | None:
    """Return the download of the result that the owner gets; None without one."""
    key = served(attempt, watermarked=watermarked).result
    return Download(key, _file_name(attempt), bucket=attempt.bucket) if key is not None else None


def _file_name(attempt: Attempt) -> str:
    kind = "restored" if isinstance(attempt, RestoreAttempt) else "animated"
    return f"rekindle-{attempt.created_at:%Y-%m-%d}-{attempt.id.hex[-8:]}-{kind}"


def progress(attempt: Attempt) -> Progress | None:
    """Return how far an attempt is, once that is known."""
    if attempt.progress_percent is None:
        return None
    return Progress(percent=attempt.progress_percent, stage=attempt.progress_stage)


def result_reply(attempt: RestoreAttempt, urls: Mapping[str, str], *, watermarked: bool) -> ResultReply:
    """Return a completed restoration."""
    return ResultReply(**_result_fields(attempt, urls, served(attempt, watermarked=watermarked)))


def restore_reply(attempt: RestoreAttempt, urls: Mapping[str, str], *, watermarked: bool) -> RestoreAttemptReply:
    """Return an attempt to restore, in any state."""
    return RestoreAttemptReply(
        **_result_fields(attempt, urls, served(attempt, watermarked=watermarked)),
        status=AttemptStatus(attempt.status),
        progress=progress(attempt),
        reason=attempt.reason,
        message=attempt.message,
        finished_at=attempt.finished_at,
    )


def animation_reply(attempt: AnimationAttempt, urls: Mapping[str, str], *, watermarked: bool) -> AnimationAttemptReply:
    """Return an attempt to animate, in any state."""
    keys = served(attempt, watermarked=watermarked)
    state = state_key(attempt, keys.result)
    return AnimationAttemptReply(
        id=attempt.id,
        job_id=attempt.job_id,
        restore_id=attempt.restore_id,
        preview_s3_key=keys.preview or state,
        result_s3_key=state,
        thumb_s3_key=keys.thumbnail,
        model=attempt.model,
        params=attempt.requested,
        created_at=attempt.created_at,
        preview_url=_url(urls, keys.preview),
        result_url=_url(urls, keys.result),
        thumb_url=_url(urls, keys.thumbnail),
        status=AttemptStatus(attempt.status),
        progress=progress(attempt),
        reason=attempt.reason,
        message=attempt.message,
        finished_at=attempt.finished_at,
        expires_at=attempt.expires_at,
        warnings=attempt.warnings,
        unfulfilled=attempt.unfulfilled,
        watermarked=keys.watermarked,
        credits_charged=attempt.credits_charged,
    )


def processing_reply(attempt: Attempt) -> ProcessingJobReply:
    """Return an attempt that still runs."""
    return ProcessingJobReply(
        id=attempt.id,
        job_id=attempt.job_id,
        type="restore" if isinstance(attempt, RestoreAttempt) else "animate",
        status=AttemptStatus(attempt.status),
        progress=attempt.progress_percent or 0,
        stage=attempt.progress_stage,
        created_at=attempt.created_at,
    )


def _result_fields(attempt: RestoreAttempt, urls: Mapping[str, str], keys: Served) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "job_id": attempt.job_id,
        "s3_key": state_key(attempt, keys.result),
        "model": attempt.model,
        "params": attempt.requested,
        "created_at": attempt.created_at,
        "expires_at": attempt.expires_at,
        "url": _url(urls, keys.result),
        "preview_url": _url(urls, keys.preview),
        "thumbnail_url": _url(urls, keys.thumbnail),
        "warnings": attempt.warnings,
        "unfulfilled": attempt.unfulfilled,
        "watermarked": keys.watermarked,
        "credits_charged": attempt.credits_charged,
    }


def _url(urls: Mapping[str, str], key: str | None) -> str | None:
    return urls.get(key) if key is not None else None
