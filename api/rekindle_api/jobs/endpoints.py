"""Routes under /api/v1/jobs and /api/v1/processing, and those that begin a restoration or an animation."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.errors import (
    AttemptNotFoundError,
    RestoreNotFoundError,
    RestoreWithoutResultError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
from rekindle_api.attempts.models import AnimationAttempt, Attempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.requests import AnimateRequest, RestoreRequest
from rekindle_api.attempts.service import Subject, Terms, delete_attempt, request_animation, request_restore
from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.credits.errors import InsufficientCreditsError
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.jobs.replies import AttemptAccepted, AttemptState, JobReply
from rekindle_api.jobs.service import attempt_state, job_replies
from rekindle_api.photos.endpoints import Photos
from rekindle_api.photos.errors import PhotoNotFoundError
from rekindle_api.photos.models import photo_prefix
from rekindle_api.photos.replies import Deleted
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.service import delete_photo
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited
from rekindle_api.settings import PlanSettings
from rekindle_api.storage.objects import storage_of
from rekindle_api.users.models import User

router = APIRouter(prefix="/api/v1", tags=["jobs"])


class JobPage(BaseModel):
    """Which jobs to list."""

    skip: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.post("/photos/{photo_id}/restore", status_code=202, dependencies=[limited("restore")])
@router.post("/jobs/{photo_id}/restore", status_code=202, dependencies=[limited("restore")])
@raises(PhotoNotFoundError, SourceResultNotFoundError, SourceResultNotReadyError, InsufficientCreditsError)
async def restore(
    request: Request, photo_id: uuid.UUID, wanted: RestoreRequest, user: CurrentUser, session: DatabaseSession
) -> AttemptAccepted:
    """Begin to restore a photo; while an equal request runs, that attempt is the answer."""
    subject = await _subject(session, user.id, photo_id)
    return _accepted(await request_restore(session, subject, _terms(request, user), wanted))


@router.post("/photos/{photo_id}/animate", status_code=202, dependencies=[limited("animate")])
@router.post("/jobs/{photo_id}/animate", status_code=202, dependencies=[limited("animate")])
@raises(PhotoNotFoundError, RestoreNotFoundError, RestoreWithoutResultError, InsufficientCreditsError)
async def animate(
    request: Request, photo_id: uuid.UUID, wanted: AnimateRequest, user: CurrentUser, session: DatabaseSession
) -> AttemptAccepted:
    """Begin to animate a photo; while an equal request runs, that attempt is the answer.

    With `restore_id` the result of that restoration is animated, as soon as there is one: the animation fails if the
    restoration does. Without it the original is animated, whatever restorations the photo has.
    """
    subject = await _subject(session, user.id, photo_id)
    return _accepted(await request_animation(session, subject, _terms(request, user), wanted))


async def _subject(session: AsyncSession, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Subject:
    # Held, so that a deletion at the same moment either comes first or cancels the new attempt too.
    if (photo := await PhotoRepository(session).hold(owner_id, photo_id)) is None:
        raise PhotoNotFoundError
    return Subject(
        job_id=photo.id,
        owner_id=owner_id,
        bucket=photo.bucket,
        prefix=photo_prefix(owner_id, photo.id),
        original_key=photo.original_key,
    )


def _terms(request: Request, user: User) -> Terms:
    plans: PlanSettings = request.app.state.plans
    return Terms(plans.plan(user.tier), plans.costs)


def _accepted(attempt: Attempt) -> AttemptAccepted:
    return AttemptAccepted(
        id=attempt.id, job_id=attempt.job_id, status=AttemptStatus(attempt.status), created_at=attempt.created_at
    )


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


@router.get("/processing/jobs/{identifier}/status")
@raises(AttemptNotFoundError)
async def get_state(identifier: uuid.UUID, user: CurrentUser, session: DatabaseSession) -> AttemptState:
    """Return where an attempt stands; a job's id means its newest attempt."""
    return await attempt_state(session, user.id, identifier)
