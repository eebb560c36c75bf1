"""The one way an attempt's state changes: compare-and-set on its version, and final only once.

What must happen together with an end happens in `advance`, in the same transaction: the credits that an attempt
reserved are captured or released, and an animation that waits for a restoration learns of its end, whether or not a
RestoreJob ever was. Whatever may end an attempt locks its owner's credits first.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.repository import A, AttemptRepository, WaitingAnimations
from rekindle_api.attempts.transitions import Observation, Standing, decide
from rekindle_api.credits import service as ledger
from rekindle_api.faults import Commit, at_commit
from rekindle_api.outbox.models import AttemptKind
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_crds import Reason

_COLOUR = "colorize"
CANCELLED = Observation(status=AttemptStatus.CANCELLED, reason="Cancelled", message="Cancelled before it was started.")


def kind_of(table: type[RestoreAttempt] | type[AnimationAttempt]) -> AttemptKind:
    """Return the kind of the attempts in `table`."""
    return AttemptKind.RESTORE if table is RestoreAttempt else AttemptKind.ANIMATION


async def advance(session: AsyncSession, table: type[A], attempt_id: uuid.UUID, seen: Observation) -> A | None:
    """Move an attempt to what was seen of it.

    Returns:
        The changed attempt; None when it is gone, had ended before, or already is as seen. Repeated and late
        observations change nothing.
    """
    repository = AttemptRepository(session, table)
    while (attempt := await repository.for_bridge(attempt_id)) is not None:
        change = decide(standing_of(attempt), seen, datetime.now(UTC))
        if change is None:
            return None
        if change.finishes:
            changed = await _end(session, repository, attempt, seen, change.values)
        else:
            changed = await repository.change(attempt.id, attempt.version, change.values)
        if changed is not None:
            if change.finishes and isinstance(changed, RestoreAttempt):
                await _tell_animations(session, changed)
            at_commit(session, Commit.ATTEMPT_ADVANCED)
            return changed
    return None


async def _end(
    session: AsyncSession, repository: AttemptRepository[A], attempt: A, seen: Observation, values: Mapping[str, object]
) -> A | None:
    """Make an attempt final together with its credits; None when it has moved on."""
    await ledger.lock(session, attempt.owner_id)
    charged = charge_of(attempt, seen)
    changed = await repository.change(attempt.id, attempt.version, {**values, "credits_charged": charged})
    if changed is not None:
        await ledger.settle(session, attempt.owner_id, attempt.id, charged)
    return changed


def charge_of(attempt: RestoreAttempt | AnimationAttempt, seen: Observation) -> int:
    """Return what an attempt costs that ends as seen: nothing without a result, less without the colour asked for."""
    if seen.status is not AttemptStatus.COMPLETED:
        return 0
    less = attempt.credits_without_colour if isinstance(attempt, RestoreAttempt) else None
    return less if less is not None and _COLOUR in seen.unfulfilled else attempt.credits


async def _tell_animations(session: AsyncSession, restore: RestoreAttempt) -> None:
    """Give the animations that wait for a restoration its result; without one there is nothing to animate."""
    waiting = WaitingAnimations(session, restore.id)
    if restore.result_key is not None:
        await waiting.set_source(restore.result_key)
        return
    for animation_id in await waiting.ids():
        await advance(session, AnimationAttempt, animation_id, without_restoration(restore))


def without_restoration(restore: RestoreAttempt) -> Observation:
    """Return the end of an animation whose restoration ended without a result."""
    cancelled = restore.status == AttemptStatus.CANCELLED
    return Observation(
        status=AttemptStatus.FAILED,
        reason=Reason.RESTORE_JOB_CANCELLED if cancelled else Reason.RESTORE_JOB_FAILED,
        message=f"The restoration that it was to be made of was {restore.status}"
        + (f" ({restore.reason})." if restore.reason and not cancelled else "."),
    )


async def cancel(session: AsyncSession, table: type[A], attempt_id: uuid.UUID) -> None:
    """Ask for an attempt's end: settled at once when nobody began to create its resource. A finished one stays."""
    repository = AttemptRepository(session, table)
    while (attempt := await repository.for_bridge(attempt_id)) is not None:
        if AttemptStatus(attempt.status).finished or attempt.cancel_requested_at is not None:
            return
        await ledger.lock(session, attempt.owner_id)
        asked = await repository.change(attempt.id, attempt.version, {"cancel_requested_at": datetime.now(UTC)})
        if asked is not None:
            at_commit(session, Commit.ATTEMPT_CANCELLED)
            break
    else:
        return
    if await OutboxRepository(session).ask_for_cancellation(kind_of(table), attempt_id):
        await advance(session, table, attempt_id, CANCELLED)


def standing_of(attempt: RestoreAttempt | AnimationAttempt) -> Standing:
    """Return what decisions look at."""
    return Standing(
        status=AttemptStatus(attempt.status),
        progress_percent=attempt.progress_percent,
        progress_stage=attempt.progress_stage,
        reason=attempt.reason,
        message=attempt.message,
        started_at=attempt.started_at,
        estimated_completion_at=attempt.estimated_completion_at,
        resource_version=attempt.resource_version,
        retention_days=attempt.retention_days,
    )
