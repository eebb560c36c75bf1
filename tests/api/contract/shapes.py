"""The shapes that the frontend reads, field by field. A key that is not required may be left out."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

Id = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")]
Url = Annotated[str, StringConstraints(pattern="^https?://")]
Status = Literal["queued", "processing", "completed", "failed", "cancelled"]


class Dimensions(TypedDict):
    width: int
    height: int


class Metadata(TypedDict):
    dimensions: Dimensions


class Photo(TypedDict):
    id: Id
    owner_id: Id
    original_key: str
    status: str
    storage_bucket: str
    created_at: Moment
    updated_at: Moment
    metadata: Metadata
    thumbnail_key: NotRequired[str | None]
    processed_key: NotRequired[str | None]
    checksum_sha256: NotRequired[str | None]
    size_bytes: NotRequired[int | None]
    mime_type: NotRequired[str | None]
    original_url: NotRequired[Url | None]
    thumbnail_url: NotRequired[Url | None]
    processed_url: NotRequired[Url | None]


class PhotoPage(TypedDict):
    photos: list[Photo]
    total: int
    limit: int
    offset: int


class Result(TypedDict):
    id: Id
    job_id: Id
    s3_key: str
    created_at: Moment
    model: NotRequired[str | None]
    params: NotRequired[dict[str, Any] | None]


class PhotoDetail(TypedDict):
    photo: Photo
    results: list[Result]
    processingJobs: list[dict[str, Any]]
    relatedPhotos: list[Any]


class DownloadUrl(TypedDict):
    url: Url
    expires_in: Annotated[int, Field(ge=1)]


class Accepted(TypedDict):
    id: Id
    created_at: Moment


class RestoreAttempt(TypedDict):
    id: Id
    job_id: Id
    s3_key: str
    model: str | None
    params: dict[str, Any]
    created_at: Moment
    url: Url | None


class AnimationAttempt(TypedDict):
    id: Id
    job_id: Id
    preview_s3_key: str
    created_at: Moment
    restore_id: NotRequired[Id | None]
    result_s3_key: NotRequired[str | None]
    thumb_s3_key: NotRequired[str | None]
    model: NotRequired[str | None]
    params: NotRequired[dict[str, Any] | None]
    preview_url: NotRequired[Url | None]
    result_url: NotRequired[Url | None]
    thumb_url: NotRequired[Url | None]


class Job(TypedDict):
    id: Id
    created_at: Moment
    selected_restore_id: NotRequired[Id | None]
    latest_animation_id: NotRequired[Id | None]
    thumbnail_s3_key: NotRequired[str | None]
    thumbnail_url: NotRequired[Url | None]
    restore_attempts: list[RestoreAttempt]
    animation_attempts: list[AnimationAttempt]


class PresignedUpload(TypedDict):
    url: Url
    fields: dict[str, str]
    key: str
    photo_id: Id


class Profile(TypedDict):
    id: Id
    email: str | None
    first_name: str | None
    last_name: str | None
    profile_image_url: str | None
    full_name: str | None
    total_credits: int
    storage_limit_gb: float
    storage_used_gb: float
    storage_percentage: float


class DeletionRequested(TypedDict):
    message: str
    deletion_requested_at: Moment
    archive_date: Moment
    grace_period_days: Literal[30]


class DeletionCancelled(TypedDict):
    message: str
    account_status: Literal["active"]


class CreditHistoryEntry(TypedDict):
    id: str
    type: Literal["earned", "spent", "purchased", "refunded"]
    amount: int
    description: str
    createdAt: Moment
    processingJobId: NotRequired[Id | None]


class CreditBalance(TypedDict):
    totalCredits: int
    subscriptionTier: Literal["free", "remember", "cherish", "forever"]
    nextBillingDate: NotRequired[Moment | None]
    lowCreditWarning: bool
    creditHistory: list[CreditHistoryEntry]
    usageRules: Any


class IndividualCosts(TypedDict):
    restore: int
    colourize: int
    animate: int
    bringTogether: int


class CostCalculation(TypedDict):
    individualCosts: IndividualCosts
    subtotal: int
    combinedDiscount: int
    totalCost: int
    availableCredits: int
    remainingCredits: int


class ProcessingStatus(TypedDict):
    id: Id
    status: Status
    progress: Annotated[int, Field(ge=0, le=100)]
    estimatedCompletion: NotRequired[Moment | None]
    error: NotRequired[str | None]


class Health(TypedDict):
    status: str
    environment: str
    version: str


class SupabaseAnswer(TypedDict):
    status: str
    action: Literal["created", "updated", "skipped", "deleted", "no_changes", "ignored"]
    user_id: NotRequired[Id | None]
