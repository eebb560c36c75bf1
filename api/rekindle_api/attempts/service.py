"""Begins restorations, and ends attempts that their users delete."""

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.errors import (
    AttemptNotFoundError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.attempts.repository import A, AttemptRepository
from rekindle_api.attempts.requests import RestoreRequest, digest
from rekindle_api.attempts.states import cancel
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import new_id
from rekindle_api.outbox.models import AttemptKind
from rekindle_api.outbox.repository import OutboxRepository


@dataclass(frozen=True)
class Subject:
    """The photo that an attempt works on. `prefix` ends in a slash; everything of the photo lies under it."""

    job_id: uuid.UUID
    owner_id: uuid.UUID
    bucket: str
    prefix: str
    original_key: str


async def request_restore(session: AsyncSession, subject: Subject, request: RestoreRequest) -> RestoreAttempt:
    """Begin a restoration, or return the running attempt of an equal request.

    Raises:
        SourceResultNotFoundError: the photo has no such earlier attempt.
        SourceResultNotReadyError: that attempt has no result.
    """
    repository = AttemptRepository(session, RestoreAttempt)
    source_key = await _source_key(repository, subject, request.source_result_id)
    parameters = request.parameters()
    request_digest = digest(request.model, source_key, parameters)
    while True:
        attempt_id = new_id()
        attempt = await repository.insert_unless_running(
            {
                "id": attempt_id,
                "job_id": subject.job_id,
                "owner_id": subject.owner_id,
                "model": request.model,
                "requested": request.as_sent(),
                "parameters": parameters.wire(),
                "request_digest": request_digest,
                "bucket": subject.bucket,
                "source_key": source_key,
                "source_restore_id": request.source_result_id,
                "output_prefix": f"{subject.prefix}attempts/{attempt_id}",
            }
        )
        if attempt is not None:
            await OutboxRepository(session).ask_for_creation(AttemptKind.RESTORE, attempt.id)
            await AuditRepository(session).record("restore.requested", subject.owner_id, attempt.id)
            return attempt
        running = await repository.running_request(subject.owner_id, subject.job_id, request_digest)
        # None when the equal attempt ended between the two statements: then this one is inserted in the next round.
        if running is not None:
            return running


async def _source_key(
    repository: AttemptRepository[RestoreAttempt], subject: Subject, source_result_id: uuid.UUID | None
) -> str:
    if source_result_id is None:
        return subject.original_key
    earlier = await repository.get(subject.owner_id, source_result_id)
    if earlier is None or earlier.job_id != subject.job_id or earlier.deleted_at is not None:
        raise SourceResultNotFoundError
    if earlier.result_key is None:
        raise SourceResultNotReadyError
    return earlier.result_key


async def delete_attempt(
    session: AsyncSession, table: type[A], owner_id: uuid.UUID, job_id: uuid.UUID, attempt_id: uuid.UUID
) -> A:
    """Hide an attempt, and cancel it when it runs. Deleting it again changes nothing.

    Raises:
        AttemptNotFoundError: the owner has no such attempt of this photo.
    """
    repository = AttemptRepository(session, table)
    attempt = await repository.get(owner_id, attempt_id)
    if attempt is None or attempt.job_id != job_id:
        raise AttemptNotFoundError
    if attempt.deleted_at is None:
        await cancel(session, table, attempt_id)
        await repository.hide(attempt_id)
        await AuditRepository(session).record("attempt.deleted", owner_id, attempt_id)
    return attempt


async def cancel_all(session: AsyncSession, job_id: uuid.UUID) -> None:
    """Cancel every attempt of a photo that still runs."""
    for restore_id in await AttemptRepository(session, RestoreAttempt).open_ids(job_id):
        await cancel(session, RestoreAttempt, restore_id)
    for animation_id in await AttemptRepository(session, AnimationAttempt).open_ids(job_id):
        await cancel(session, AnimationAttempt, animation_id)


async def any_open(session: AsyncSession, job_id: uuid.UUID) -> bool:
    """Tell whether an attempt of a photo still runs, deleted ones included: its pod may still write."""
    restoring = await AttemptRepository(session, RestoreAttempt).open_ids(job_id)
    return bool(restoring or await AttemptRepository(session, AnimationAttempt).open_ids(job_id))
