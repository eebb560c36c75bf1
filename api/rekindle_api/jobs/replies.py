"""How jobs look to clients."""

import uuid
from datetime import datetime

from pydantic import BaseModel, Field

from rekindle_api.attempts.models import AttemptStatus
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
