"""How jobs look to clients."""

import uuid
from datetime import datetime

from pydantic import BaseModel, Field

from rekindle_api.attempts.models import Attempt, AttemptStatus
from rekindle_api.attempts.replies import AnimationAttemptReply, RestoreAttemptReply


class JobReply(BaseModel):
    """A photo with every attempt on it, oldest first."""

    id: uuid.UUID
    created_at: datetime
    selected_restore_id: uuid.UUID | None
    latest_animation_id: uuid.UUID | None
    thumbnail_s3_key: str | None
    thumbnail_url: str | None
    restore_attempts: list[RestoreAttemptReply]
    animation_attempts: list[AnimationAttemptReply]


class AttemptAccepted(BaseModel):
    """An attempt that was begun, or the running one of an equal request."""

    id: uuid.UUID
    job_id: uuid.UUID
    status: AttemptStatus
    created_at: datetime


class AttemptState(BaseModel):
    """Where an attempt stands."""

    id: uuid.UUID
    status: AttemptStatus
    progress: int = Field(description="Percent.")
    estimated_completion: datetime | None = Field(default=None, serialization_alias="estimatedCompletion")
    error: str | None = None
    cancel_requested: bool = Field(
        serialization_alias="cancelRequested",
        description="Whether its end was asked for; it may work for a moment yet.",
    )
    credits_charged: int | None = Field(
        default=None, serialization_alias="creditsCharged", description="What it has cost: known when it has ended."
    )


def attempt_accepted(attempt: Attempt) -> AttemptAccepted:
    """Return an attempt that was begun."""
    return AttemptAccepted(
        id=attempt.id, job_id=attempt.job_id, status=AttemptStatus(attempt.status), created_at=attempt.created_at
    )


def attempt_state(attempt: Attempt) -> AttemptState:
    """Return where an attempt stands."""
    status = AttemptStatus(attempt.status)
    return AttemptState(
        id=attempt.id,
        status=status,
        progress=attempt.progress_percent or 0,
        estimated_completion=attempt.estimated_completion_at,
        error=attempt.message or attempt.reason if status is AttemptStatus.FAILED else None,
        cancel_requested=attempt.cancel_requested_at is not None,
        credits_charged=attempt.credits_charged,
    )
