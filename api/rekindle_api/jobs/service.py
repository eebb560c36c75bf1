"""Puts together the view of jobs."""

import uuid
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts import replies as attempts
from rekindle_api.attempts.models import AnimationAttempt, Attempt, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository
from rekindle_api.jobs.replies import JobReply
from rekindle_api.photos.models import Photo
from rekindle_api.photos.replies import thumbnail_download
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.storage import Download, ObjectStorage


async def job_replies(
    session: AsyncSession, storage: ObjectStorage, photos: Sequence[Photo], seconds: int, *, watermarked: bool
) -> list[JobReply]:
    """Return photos of one owner as jobs, with URLs that are good for `seconds`, by the owner's watermark rule."""
    if not photos:
        return []
    owner_id, ids = photos[0].owner_id, [photo.id for photo in photos]
    restores = await AttemptRepository(session, RestoreAttempt).of_jobs(owner_id, ids)
    animations = await AttemptRepository(session, AnimationAttempt).of_jobs(owner_id, ids)
    sessions = await PhotoRepository(session).sessions(owner_id, ids)
    wanted: list[Download] = [item for photo in photos if (item := thumbnail_download(photo)) is not None]
    everything: list[Attempt] = [*restores, *animations]
    for attempt in everything:
        wanted.extend(attempts.downloads(attempt, watermarked=watermarked))
    urls = await storage.signed_urls(wanted, seconds)
    return [
        JobReply(
            id=photo.id,
            created_at=photo.created_at,
            selected_restore_id=sessions[photo.id].selected_restore_id,
            latest_animation_id=next((item.id for item in reversed(animations) if item.job_id == photo.id), None),
            thumbnail_s3_key=photo.thumbnail_key,
            thumbnail_url=urls.get(photo.thumbnail_key or ""),
            restore_attempts=[
                attempts.restore_reply(item, urls, watermarked=watermarked)
                for item in restores
                if item.job_id == photo.id
            ],
            animation_attempts=[
                attempts.animation_reply(item, urls, watermarked=watermarked)
                for item in animations
                if item.job_id == photo.id
            ],
        )
        for photo in photos
    ]


async def find_attempt(session: AsyncSession, owner_id: uuid.UUID, identifier: uuid.UUID) -> Attempt | None:
    """Return one of the owner's attempts, or the newest of the job with this id; None when there is none."""
    restores, animations = AttemptRepository(session, RestoreAttempt), AttemptRepository(session, AnimationAttempt)
    found: Attempt | None = await restores.get(owner_id, identifier)
    if found is None:
        found = await animations.get(owner_id, identifier)
    if found is None:
        made: list[Attempt] = [*await restores.of_jobs(owner_id, [identifier])]
        made += await animations.of_jobs(owner_id, [identifier])
        found = max(made, key=lambda attempt: attempt.created_at, default=None)
    if found is None or found.deleted_at is not None:
        return None
    return found if await PhotoRepository(session).get(owner_id, found.job_id) is not None else None
