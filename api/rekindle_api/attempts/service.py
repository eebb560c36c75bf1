"""Begins restorations and animations, and ends attempts that their users delete."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.errors import (
    AttemptNotFoundError,
    RestoreNotFoundError,
    RestoreWithoutResultError,
    SourceResultNotFoundError,
    SourceResultNotReadyError,
)
from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.repository import A, AttemptRepository
from rekindle_api.attempts.requests import AnimateRequest, RestoreRequest, digest
from rekindle_api.attempts.states import cancel, kind_of
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.credits import service as ledger
from rekindle_api.database import new_id
from rekindle_api.faults import Commit, at_commit
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_api.settings import Costs, Plan


@dataclass(frozen=True)
class Subject:
    """The photo that an attempt works on. `prefix` ends in a slash; everything of the photo lies under it."""

    job_id: uuid.UUID
    owner_id: uuid.UUID
    bucket: str
    prefix: str
    original_key: str


@dataclass(frozen=True)
class Terms:
    """What the owner's tier and the price list say of new work."""

    plan: Plan
    costs: Costs

    def columns(self) -> dict[str, object]:
        """Return what an attempt keeps of the tier: later changes do not touch it."""
        return {
            "priority": self.plan.priority,
            "watermark": self.plan.watermark,
            "retention_days": self.plan.retention_days,
        }


async def request_restore(
    session: AsyncSession, subject: Subject, terms: Terms, request: RestoreRequest
) -> RestoreAttempt:
    """Begin a restoration, and reserve its credits, or return the running attempt of an equal request.

    Raises:
        SourceResultNotFoundError: the photo has no such earlier attempt.
        SourceResultNotReadyError: that attempt has no result.
        InsufficientCreditsError, CreditsOwedError: the owner cannot pay for it.
    """
    source_key = await _source_key(session, subject, request.source_result_id)
    parameters = request.parameters()
    cost = terms.costs.of_restoration(colourize=request.colourize, of_result=request.source_result_id is not None)
    wanted = {
        "model": request.model,
        "requested": request.as_sent(),
        "parameters": parameters.wire(),
        "request_digest": digest(request.model, source_key, parameters),
        "source_key": source_key,
        "source_restore_id": request.source_result_id,
        "credits": cost,
        "credits_without_colour": min(cost, terms.costs.restore) if request.colourize else None,
        **terms.columns(),
    }
    what = "Restoration with colour" if request.colourize else "Restoration"
    return await _begin(session, RestoreAttempt, subject, wanted, what)


async def request_animation(
    session: AsyncSession, subject: Subject, terms: Terms, request: AnimateRequest
) -> AnimationAttempt:
    """Begin an animation, and reserve its credits, or return the running attempt of an equal request.

    Its source is the named restoration's result, now or when that is done; the original photo when none is named.

    Raises:
        RestoreNotFoundError: the photo has no such restoration.
        RestoreWithoutResultError: that restoration ended without a result.
        InsufficientCreditsError, CreditsOwedError: the owner cannot pay for it.
    """
    # Before the restoration is held: what ends that restoration locks the two in this order.
    await ledger.lock(session, subject.owner_id)
    source_key = await _restored_key(session, subject, request.restore_id)
    parameters = request.parameters()
    source = str(request.restore_id or subject.original_key)
    wanted = {
        "model": request.model,
        "requested": request.as_sent(),
        "parameters": parameters.wire(),
        "request_digest": digest(request.model, source, parameters),
        "source_key": source_key,
        "restore_id": request.restore_id,
        "credits": terms.costs.animate,
        **terms.columns(),
    }
    return await _begin(session, AnimationAttempt, subject, wanted, "Animation")


async def _begin(
    session: AsyncSession, table: type[A], subject: Subject, wanted: Mapping[str, object], description: str
) -> A:
    """Insert an attempt, its hold and the order for its resource, unless an equal one runs: then that is the answer."""
    repository, kind = AttemptRepository(session, table), kind_of(table)
    await ledger.lock(session, subject.owner_id)
    while True:
        attempt_id = new_id()
        attempt = await repository.insert_unless_running(
            {
                "id": attempt_id,
                "job_id": subject.job_id,
                "owner_id": subject.owner_id,
                "bucket": subject.bucket,
                "output_prefix": f"{subject.prefix}attempts/{attempt_id}",
                **wanted,
            }
        )
        if attempt is not None:
            await ledger.hold(session, subject.owner_id, attempt.id, attempt.credits, description)
            await OutboxRepository(session).ask_for_creation(kind, attempt.id)
            await AuditRepository(session).record(f"{kind}.requested", subject.owner_id, attempt.id)
            at_commit(session, Commit.ATTEMPT_REQUESTED)
            return attempt
        running = await repository.running_request(subject.owner_id, subject.job_id, str(wanted["request_digest"]))
        # None when the equal attempt ended between the two statements: then this one is inserted in the next round.
        if running is not None:
            return running


async def _source_key(session: AsyncSession, subject: Subject, source_result_id: uuid.UUID | None) -> str:
    if source_result_id is None:
        return subject.original_key
    earlier = await AttemptRepository(session, RestoreAttempt).get(subject.owner_id, source_result_id)
    if earlier is None or earlier.job_id != subject.job_id or earlier.deleted_at is not None:
        raise SourceResultNotFoundError
    if earlier.result_key is None:
        raise SourceResultNotReadyError
    return earlier.result_key


async def _restored_key(session: AsyncSession, subject: Subject, restore_id: uuid.UUID | None) -> str | None:
    """Return the key of what is animated; None while the restoration that makes it runs."""
    if restore_id is None:
        return subject.original_key
    # Held, so that it ends either before this, or after this animation is there to be told.
    restore = await AttemptRepository(session, RestoreAttempt).hold(subject.owner_id, restore_id)
    if restore is None or restore.job_id != subject.job_id or restore.deleted_at is not None:
        raise RestoreNotFoundError
    if AttemptStatus(restore.status).finished and restore.result_key is None:
        raise RestoreWithoutResultError(restore.status)
    return restore.result_key


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


async def cancel_of_owner(session: AsyncSession, owner_id: uuid.UUID) -> None:
    """Cancel everything of a user that still runs."""
    for restore_id in await AttemptRepository(session, RestoreAttempt).open_of_owner(owner_id):
        await cancel(session, RestoreAttempt, restore_id)
    for animation_id in await AttemptRepository(session, AnimationAttempt).open_of_owner(owner_id):
        await cancel(session, AnimationAttempt, animation_id)


async def any_open(session: AsyncSession, job_id: uuid.UUID) -> bool:
    """Tell whether an attempt of a photo still runs, deleted ones included: its pod may still write."""
    restoring = await AttemptRepository(session, RestoreAttempt).open_ids(job_id)
    return bool(restoring or await AttemptRepository(session, AnimationAttempt).open_ids(job_id))
