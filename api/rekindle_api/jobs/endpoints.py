"""Routes under /api/v1/jobs, and those that begin a restoration or an animation."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from rekindle_api.attempts.errors import (
    AttemptNotFoundError,
    RestoreNotFoundError,
    RestoreWithoutResultError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.requests import AnimateRequest, RestoreRequest
from rekindle_api.attempts.service import delete_attempt
from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.credits.errors import CreditsOwedError, InsufficientCreditsError
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.idempotency.once import OnceOnly
from rekindle_api.jobs.replies import AttemptAccepted, JobReply
from rekindle_api.jobs.service import job_replies
from rekindle_api.jobs.work import NewWork
from rekindle_api.photos.endpoints import Photos
from rekindle_api.photos.errors import PhotoNotFoundError
from rekindle_api.photos.replies import Deleted
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.service import delete_photo
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited
from rekindle_api.storage.objects import storage_of

router = APIRouter(prefix="/api/v1", tags=["jobs"])


class JobPage(BaseModel):
    """Which jobs to list."""

    skip: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.post(
    "/photos/{photo_id}/restore", status_code=202, response_model=AttemptAccepted, dependencies=[limited("restore")]
)
@router.post(
    "/jobs/{photo_id}/restore", status_code=202, response_model=AttemptAccepted, dependencies=[limited("restore")]
)
@raises(
    PhotoNotFoundError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
    InsufficientCreditsError,
    CreditsOwedError,
)
async def restore(
    photo_id: uuid.UUID, wanted: RestoreRequest, work: NewWork, session: DatabaseSession, once: OnceOnly
) -> AttemptAccepted | JSONResponse:
    """Begin to restore a photo; while an equal request runs, that attempt is the answer, and nothing is charged twice.

    Its credits are reserved now and spent when it completes; one that fails or is cancelled costs nothing.
    """
    return await once.answer(session, lambda: work.restore(photo_id, wanted))


@router.post(
    "/photos/{photo_id}/animate", status_code=202, response_model=AttemptAccepted, dependencies=[limited("animate")]
)
@router.post(
    "/jobs/{photo_id}/animate", status_code=202, response_model=AttemptAccepted, dependencies=[limited("animate")]
)
@raises(PhotoNotFoundError, RestoreNotFoundError, RestoreWithoutResultError, InsufficientCreditsError, CreditsOwedError)
async def animate(
    photo_id: uuid.UUID, wanted: AnimateRequest, work: NewWork, session: DatabaseSession, once: OnceOnly
) -> AttemptAccepted | JSONResponse:
    """Begin to animate a photo; while an equal request runs, that attempt is the answer, and nothing is charged twice.

    With `restore_id` the result of that restoration is animated, as soon as there is one: the animation fails if the
    restoration does. Without it the original is animated, whatever restorations the photo has.
    """
    return await once.answer(session, lambda: work.animate(photo_id, wanted))


@router.get("/jobs")
@router.get("/jobs/", include_in_schema=False)
async def list_jobs(
    request: Request,
    user: CurrentUser,
    photos: Photos,
    session: DatabaseSession,
    page: Annotated[JobPage, Query()],
) -> list[JobReply]:
    """List the owner's jobs with their attempts, newest first."""
    found, _ = await PhotoRepository(session).page(user.id, page.skip, page.limit)
    return await job_replies(
        session, storage_of(request), found, photos.signed_url_seconds, watermarked=photos.watermarked
    )


@router.get("/jobs/{photo_id}")
@raises(PhotoNotFoundError)
async def get_job(
    request: Request, photo_id: uuid.UUID, user: CurrentUser, photos: Photos, session: DatabaseSession
) -> JobReply:
    """Return a photo with every attempt on it."""
    photo = await photos.get(user.id, photo_id)
    [reply] = await job_replies(
        session, storage_of(request), [photo], photos.signed_url_seconds, watermarked=photos.watermarked
    )
    return reply


@router.delete("/jobs/{photo_id}")
@raises(PhotoNotFoundError)
async def delete_job(request: Request, photo_id: uuid.UUID, user: CurrentUser) -> Deleted:
    """Delete a job: its photo, and everything that was made of it."""
    gone = await delete_photo(database_of(request), storage_of(request), user.id, photo_id)
    return Deleted.photo(photo_id, objects_deleted=gone)


@router.delete("/jobs/{photo_id}/restore/{attempt_id}")
@raises(AttemptNotFoundError)
async def delete_restore(
    photo_id: uuid.UUID, attempt_id: uuid.UUID, user: CurrentUser, session: DatabaseSession
) -> Deleted:
    """Delete an attempt to restore with its result; one that runs is cancelled."""
    attempt = await delete_attempt(session, RestoreAttempt, user.id, photo_id, attempt_id)
    return Deleted(id=attempt.id, message="The attempt and its result are deleted.")


@router.delete("/jobs/{photo_id}/animate/{attempt_id}")
@raises(AttemptNotFoundError)
async def delete_animation(
    photo_id: uuid.UUID, attempt_id: uuid.UUID, user: CurrentUser, session: DatabaseSession
) -> Deleted:
    """Delete an attempt to animate with its result; one that runs is cancelled."""
    attempt = await delete_attempt(session, AnimationAttempt, user.id, photo_id, attempt_id)
    return Deleted(id=attempt.id, message="The attempt and its result are deleted.")
