"""Beginning, cancelling and repeating attempts for one user."""

import uuid
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.errors import (
    AttemptEndedError,
    AttemptNotFoundError,
    AttemptNotRetryableError,
    RestoreNotFoundError,
)
from rekindle_api.attempts.models import AnimationAttempt, Attempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.requests import AnimateRequest, RestoreRequest
from rekindle_api.attempts.service import Subject, Terms, request_animation, request_restore
from rekindle_api.attempts.states import cancel
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.credits.service import ensure_account
from rekindle_api.database import DatabaseSession
from rekindle_api.jobs.replies import AttemptAccepted, AttemptState, attempt_accepted, attempt_state
from rekindle_api.jobs.service import find_attempt
from rekindle_api.photos.errors import PhotoNotFoundError
from rekindle_api.photos.models import photo_prefix
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.settings import PlanSettings
from rekindle_api.users.models import User

_AGAIN = (AttemptStatus.FAILED, AttemptStatus.CANCELLED)


class Work:
    """What a user asks the cluster to do, within one transaction."""

    def __init__(self, session: AsyncSession, user: User, plans: PlanSettings) -> None:
        self._session = session
        self._user = user
        self._plans = plans

    async def restore(self, photo_id: uuid.UUID, wanted: RestoreRequest) -> AttemptAccepted:
        """Begin a restoration; see `request_restore` for what else it raises.

        Raises:
            PhotoNotFoundError: the user has no such photo.
        """
        return attempt_accepted(await self._restore(await self._subject(photo_id), wanted))

    async def animate(self, photo_id: uuid.UUID, wanted: AnimateRequest) -> AttemptAccepted:
        """Begin an animation; see `request_animation` for what else it raises.

        Raises:
            PhotoNotFoundError: the user has no such photo.
        """
        return attempt_accepted(await self._animate(await self._subject(photo_id), wanted))

    async def cancel(self, identifier: uuid.UUID) -> AttemptState:
        """Ask for the end of an attempt; of the newest one, for a job's id. Asking again changes nothing.

        Raises:
            AttemptNotFoundError: the user has no such attempt.
            AttemptEndedError: it completed or failed.
        """
        attempt = await self._found(identifier)
        if not AttemptStatus(attempt.status).finished and attempt.cancel_requested_at is None:
            await AuditRepository(self._session).record("attempt.cancelled", self._user.id, attempt.id)
        if isinstance(attempt, RestoreAttempt):
            await cancel(self._session, RestoreAttempt, attempt.id)
        else:
            await cancel(self._session, AnimationAttempt, attempt.id)
        await self._session.refresh(attempt)
        status = AttemptStatus(attempt.status)
        if status.finished and status is not AttemptStatus.CANCELLED:
            raise AttemptEndedError(status)
        return attempt_state(attempt)

    async def retry(self, identifier: uuid.UUID) -> AttemptState:
        """Ask again for what failed or was cancelled: a new attempt, by today's terms; an equal one that runs is it.

        For a job's id that is its newest attempt, and that itself while it runs.

        Raises:
            AttemptNotFoundError: the user has no such attempt.
            AttemptNotRetryableError: it runs, or it completed.
        """
        attempt = await self._found(identifier)
        status = AttemptStatus(attempt.status)
        if not status.finished and identifier != attempt.id and attempt.cancel_requested_at is None:
            return attempt_state(attempt)
        if status not in _AGAIN:
            raise AttemptNotRetryableError(status)
        subject = await self._subject(attempt.job_id)
        if isinstance(attempt, RestoreAttempt):
            restoration = RestoreRequest.model_validate({"model": attempt.model, "params": attempt.requested})
            return attempt_state(await self._restore(subject, restoration))
        if attempt.restore_id is None and attempt.source_key != subject.original_key:
            raise RestoreNotFoundError
        animation = {"model": attempt.model, "restore_id": attempt.restore_id, "params": attempt.requested}
        return attempt_state(await self._animate(subject, AnimateRequest.model_validate(animation)))

    async def _restore(self, subject: Subject, wanted: RestoreRequest) -> RestoreAttempt:
        return await request_restore(self._session, subject, await self._terms(), wanted)

    async def _animate(self, subject: Subject, wanted: AnimateRequest) -> AnimationAttempt:
        return await request_animation(self._session, subject, await self._terms(), wanted)

    async def _found(self, identifier: uuid.UUID) -> Attempt:
        if (attempt := await find_attempt(self._session, self._user.id, identifier)) is None:
            raise AttemptNotFoundError
        return attempt

    async def _subject(self, photo_id: uuid.UUID) -> Subject:
        # Held, so that a deletion at the same moment either comes first or cancels the new attempt too.
        if (photo := await PhotoRepository(self._session).hold(self._user.id, photo_id)) is None:
            raise PhotoNotFoundError
        return Subject(
            job_id=photo.id,
            owner_id=photo.owner_id,
            bucket=photo.bucket,
            prefix=photo_prefix(photo.owner_id, photo.id),
            original_key=photo.original_key,
        )

    async def _terms(self) -> Terms:
        """Return what the tier and the price list say; free credits that are due are there by then."""
        await ensure_account(self._session, self._user, self._plans)
        return Terms(self._plans.plan(self._user.tier), self._plans.costs)


async def _work(request: Request, user: CurrentUser, session: DatabaseSession) -> Work:
    return Work(session, user, request.app.state.plans)


NewWork = Annotated[Work, Depends(_work)]
