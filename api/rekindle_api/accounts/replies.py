"""How accounts look to their owners."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from rekindle_api.settings import Tier
from rekindle_api.users.changes import Action
from rekindle_api.users.models import AccountStatus


class Profile(BaseModel):
    """An account with what it has left."""

    id: uuid.UUID
    supabase_user_id: uuid.UUID
    email: str | None
    email_verified: bool = Field(description="Supabase knows that the address is the owner's.")
    first_name: str | None
    last_name: str | None
    full_name: str | None
    profile_image_url: str | None
    account_status: AccountStatus
    subscription_tier: Tier
    total_credits: int = Field(description="Credits that new work may use; negative while some are owed.")
    storage_limit_gb: float = Field(description="In GiB.")
    storage_used_gb: float = Field(description="In GiB.")
    storage_percentage: float = Field(description="More than 100 when the tier was changed to a smaller one.")
    created_at: datetime
    updated_at: datetime


class DeletionRequested(BaseModel):
    """A deletion that can still be taken back."""

    message: str
    deletion_requested_at: datetime
    archive_date: datetime = Field(description="From then on it cannot be taken back.")
    grace_period_days: int = Field(examples=[30])


class DeletionCancelled(BaseModel):
    """An account that stays."""

    message: str
    account_status: AccountStatus


class WebhookReply(BaseModel):
    """What a webhook did."""

    status: Literal["success"] = "success"
    action: Action
    user_id: uuid.UUID | None = Field(default=None, description="Our own id of the account.")
