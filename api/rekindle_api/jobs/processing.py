"""Routes under /api/v1/processing: one attempt by its id, or the newest of a job by the job's."""

import uuid

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from rekindle_api.attempts.errors import (
    AttemptEndedError,
    AttemptNotFoundError,
    AttemptNotRetryableError,
    RestoreNotFoundError,
    RestoreWithoutResultError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.credits.errors import CreditsOwedError, InsufficientCreditsError
from rekindle_api.database import DatabaseSession
from rekindle_api.idempotency.once import OnceOnly
from rekindle_api.jobs.replies import AttemptState, attempt_state
from rekindle_api.jobs.service import find_attempt
from rekindle_api.jobs.work import NewWork
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited

router = APIRouter(prefix="/api/v1/processing/jobs/{identifier}", tags=["processing"])


@router.get("/status")
@raises(AttemptNotFoundError)
async def get_state(identifier: uuid.UUID, user: CurrentUser, session: DatabaseSession) -> AttemptState:
    """Return where an attempt stands; a job's id means its newest attempt."""
    if (attempt := await find_attempt(session, user.id, identifier)) is None:
        raise AttemptNotFoundError
    return attempt_state(attempt)


@router.post("/cancel")
@raises(AttemptNotFoundError, AttemptEndedError)
async def cancel(identifier: uuid.UUID, work: NewWork) -> AttemptState:
    """Cancel an attempt: it costs nothing. One that works already ends as soon as its pod has stopped."""
    return await work.cancel(identifier)


@router.post("/retry", status_code=202, response_model=AttemptState, dependencies=[limited("restore")])
@raises(
    AttemptNotFoundError,
    AttemptNotRetryableError,
    InsufficientCreditsError,
    CreditsOwedError,
    RestoreNotFoundError,
    RestoreWithoutResultError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
async def retry(
    identifier: uuid.UUID, work: NewWork, session: DatabaseSession, once: OnceOnly
) -> AttemptState | JSONResponse:
    """Ask again for what failed or was cancelled: a new attempt with the same wishes and an id of its own."""
    return await once.answer(session, lambda: work.retry(identifier))
