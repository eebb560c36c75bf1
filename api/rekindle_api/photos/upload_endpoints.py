"""Routes under /api/v1/photos with which photos come in: through the service, or straight to the photo storage."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rekindle_api.auth.dependencies import CurrentPlan, CurrentUser
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.database.json_values import StorableText
from rekindle_api.idempotency.once import OnceOnly
from rekindle_api.photos.direct import Announced, direct_uploads_of
from rekindle_api.photos.endpoints import Limits
from rekindle_api.photos.errors import (
    ChecksumMismatchError,
    ImageTooLargeError,
    MalformedUploadError,
    MissingFileError,
    PhotoNotFoundError,
    QuotaExceededError,
    TooManyUploadsError,
    UnreadableImageError,
    UnsupportedImageError,
    UploadChangedError,
    UploadMissingError,
    UploadsBusyError,
    UploadStalledError,
    UploadTooLargeError,
)
from rekindle_api.photos.intake import Uploaded
from rekindle_api.photos.replies import PhotoReply, UploadForm
from rekindle_api.photos.service import PhotoService
from rekindle_api.photos.uploads import uploads_of
from rekindle_api.problems import raises
from rekindle_api.rates.dependencies import limited
from rekindle_api.storage import StorageUnavailableError
from rekindle_api.storage.objects import storage_of

router = APIRouter(prefix="/api/v1/photos", tags=["photos"])

_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_REFUSALS = (
    UnsupportedImageError,
    UnreadableImageError,
    UploadTooLargeError,
    ImageTooLargeError,
    QuotaExceededError,
    UploadStalledError,
    TooManyUploadsError,
    UploadsBusyError,
    StorageUnavailableError,
)

_KNOWN_ALREADY: dict[int | str, dict[str, Any]] = {
    200: {"model": PhotoReply, "description": "The photo is there already."}
}


class AnnouncedFile(BaseModel):
    """What is going to be uploaded. With `size` and `sha256` the storage takes exactly that file."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"filename": "scan.jpg", "content_type": "image/jpeg", "size": 1_048_576}}
    )

    filename: Annotated[StorableText | None, Field(max_length=1024, description="Not kept.")] = None
    content_type: Annotated[str, StringConstraints(pattern=r"^image/[a-z0-9.+-]{1,60}$")] = "image/jpeg"
    max_size_bytes: Annotated[int | None, Field(ge=1, description="The largest size to expect.")] = None
    size: Annotated[int | None, Field(ge=1, description="The exact size in bytes, when it is known.")] = None
    sha256: Annotated[
        str | None, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(description="Of the bytes, in hexadecimal.")
    ] = None

    def announced(self, limit: int) -> Announced:
        """Return what the upload is bound to; without a size, to what one photo may have at most."""
        most = self.size or min(self.max_size_bytes or limit, limit)
        digest = bytes.fromhex(self.sha256) if self.sha256 else None
        return Announced(self.content_type, self.size or 1, most, digest)


class _Answering:
    """Answers with the photo of an upload."""

    def __init__(self, request: Request, response: Response, limits: Limits, plan: CurrentPlan) -> None:
        self._request = request
        self._response = response
        self._signed_url_seconds = limits.signed_url_seconds
        self._watermarked = plan.watermark

    async def with_photo(self, uploaded: Uploaded) -> PhotoReply:
        """Return the reply; its status tells whether the photo is new."""
        if not uploaded.created:
            self._response.status_code = 200
        self._response.headers["Server-Timing"] = f"inspect;dur={uploaded.inspection_seconds * 1000:.1f}"
        async with database_of(self._request).transaction() as session:
            storage = storage_of(self._request)
            service = PhotoService(session, storage, self._signed_url_seconds, watermarked=self._watermarked)
            [reply] = await service.replies(uploaded.photo.owner_id, [uploaded.photo])
        return reply


Answering = Annotated[_Answering, Depends()]


@router.post(
    "/upload",
    status_code=201,
    openapi_extra=_UPLOAD_BODY,
    dependencies=[limited("upload")],
    responses=_KNOWN_ALREADY,
)
@raises(MalformedUploadError, MissingFileError, *_REFUSALS)
async def upload(request: Request, user: CurrentUser, answering: Answering) -> PhotoReply:
    """Store a photo: 201 for a new one, 200 when the same bytes were uploaded before."""
    return await answering.with_photo(await uploads_of(request).take(user, request))


class _Announcing:
    """Answers an announcement with a form."""

    def __init__(self, request: Request, user: CurrentUser, limits: Limits, session: DatabaseSession) -> None:
        self._uploads = direct_uploads_of(request)
        self._user = user
        self._limits = limits
        self._session = session

    async def with_form(self, file: AnnouncedFile) -> UploadForm:
        """Return the reply."""
        announced = file.announced(self._limits.max_upload_bytes)
        photo, form = await self._uploads.announce(self._session, self._user, announced)
        return UploadForm(
            url=form.url,
            fields=form.fields,
            key=form.fields["key"],
            photo_id=photo.id,
            max_size_bytes=announced.most,
            expires_in=self._limits.signed_url_seconds,
        )


@router.post("/presigned-upload", status_code=201, response_model=UploadForm, dependencies=[limited("upload")])
@raises(UploadTooLargeError, QuotaExceededError, StorageUnavailableError)
async def presigned_upload(
    query: Annotated[AnnouncedFile, Query()],
    announcing: Annotated[_Announcing, Depends()],
    session: DatabaseSession,
    once: OnceOnly,
    body: Annotated[AnnouncedFile | None, Body()] = None,
) -> UploadForm | JSONResponse:
    """Return a form that uploads one photo straight to the storage; complete the upload afterwards.

    What is announced can stand in the body or in the query.
    """
    return await once.answer(session, lambda: announcing.with_form(body or query), 201)


@router.post("/{photo_id}/complete", status_code=201, dependencies=[limited("upload")], responses=_KNOWN_ALREADY)
@raises(PhotoNotFoundError, UploadMissingError, UploadChangedError, ChecksumMismatchError, *_REFUSALS)
async def complete_upload(request: Request, photo_id: uuid.UUID, user: CurrentUser, answering: Answering) -> PhotoReply:
    """Make a photo of what was uploaded by a form: 201 for a new one, 200 when it is there already.

    A file that is no photo is deleted, and the upload with it. A call that was broken off can be repeated.
    """
    return await answering.with_photo(await direct_uploads_of(request).complete(user, photo_id))
