"""Routes under /api/v1/photos."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from rekindle_api.auth.dependencies import CurrentPlan, CurrentUser
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.database.json_values import StorableObject
from rekindle_api.photos.errors import DownloadNotFoundError, PhotoNotFoundError
from rekindle_api.photos.replies import Deleted, DownloadUrl, PhotoDetail, PhotoPage, PhotoReply
from rekindle_api.photos.repository import PhotoRepository
from rekindle_api.photos.service import KeyType, PhotoService, delete_photo
from rekindle_api.problems import raises
from rekindle_api.settings import LimitSettings
from rekindle_api.storage.objects import storage_of

router = APIRouter(prefix="/api/v1/photos", tags=["photos"])


async def _limits(request: Request) -> LimitSettings:
    limits: LimitSettings = request.app.state.limits
    return limits


Limits = Annotated[LimitSettings, Depends(_limits)]


async def photo_service(request: Request, session: DatabaseSession, limits: Limits, plan: CurrentPlan) -> PhotoService:
    """Return the service for one request."""
    return PhotoService(session, storage_of(request), limits.signed_url_seconds, watermarked=plan.watermark)


Photos = Annotated[PhotoService, Depends(photo_service)]


class DownloadQuery(BaseModel):
    """Which of a photo's objects to download, and for how many seconds its address is wanted."""

    key_type: KeyType = KeyType.ORIGINAL
    expiration: Annotated[int, Field(ge=1)] = 900


class MetadataUpdate(BaseModel):
    """What the owner notes about a photo; it replaces what was noted before."""

    metadata: StorableObject = Field(examples=[{"taken_in": "Leeds, 1932"}])


@router.get("")
@router.get("/", include_in_schema=False)
async def list_photos(
    user: CurrentUser,
    photos: Photos,
    session: DatabaseSession,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PhotoPage:
    """List the owner's photos, newest first."""
    found, total = await PhotoRepository(session).page(user.id, offset, limit)
    return PhotoPage(photos=await photos.replies(user.id, found), total=total, limit=limit, offset=offset)


@router.get("/{photo_id}")
@raises(PhotoNotFoundError)
async def get_photo(photo_id: uuid.UUID, user: CurrentUser, photos: Photos) -> PhotoDetail:
    """Return a photo with its results and the attempts that still run."""
    return await photos.detail(user.id, await photos.get(user.id, photo_id))


@router.put("/{photo_id}")
@raises(PhotoNotFoundError)
async def update_photo(
    photo_id: uuid.UUID, update: MetadataUpdate, user: CurrentUser, photos: Photos, session: DatabaseSession
) -> PhotoReply:
    """Replace what the owner noted about a photo. Its dimensions are measured, and stay."""
    noted = {name: value for name, value in update.metadata.items() if name != "dimensions"}
    photo = await PhotoRepository(session).set_metadata(user.id, photo_id, noted)
    if photo is None:
        raise PhotoNotFoundError
    [reply] = await photos.replies(user.id, [photo])
    return reply


@router.get("/{photo_id}/download-url")
@raises(PhotoNotFoundError, DownloadNotFoundError)
async def download_url(
    request: Request,
    photo_id: uuid.UUID,
    user: CurrentUser,
    photos: Photos,
    wanted: Annotated[DownloadQuery, Query()],
) -> DownloadUrl:
    """Return a signed address of the original, the newest result or the thumbnail; it lives 15 minutes at most."""
    download = await photos.download(user.id, await photos.get(user.id, photo_id), wanted.key_type)
    seconds = min(wanted.expiration, photos.signed_url_seconds)
    return DownloadUrl(url=await storage_of(request).signed_url(download, seconds), expires_in=seconds)


@router.delete("/{photo_id}")
@raises(PhotoNotFoundError)
async def delete(request: Request, photo_id: uuid.UUID, user: CurrentUser) -> Deleted:
    """Delete a photo with everything that was made of it; what still runs for it is cancelled."""
    gone = await delete_photo(database_of(request), storage_of(request), user.id, photo_id)
    return Deleted.photo(photo_id, objects_deleted=gone)
