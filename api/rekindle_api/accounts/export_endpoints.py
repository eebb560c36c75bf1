"""The route with which users take everything with them."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from rekindle_api.accounts.endpoints import Plans
from rekindle_api.accounts.export import Export
from rekindle_api.accounts.profile import profile_of
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.auth.dependencies import DepartingUser
from rekindle_api.database.connection import database_of
from rekindle_api.storage.objects import storage_of

router = APIRouter(prefix="/api/v1/users", tags=["users"])
_ARCHIVE = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/me/export", response_class=StreamingResponse, responses=_ARCHIVE)  # type: ignore[arg-type] # its int keys
async def export(request: Request, user: DepartingUser, plans: Plans) -> StreamingResponse:
    """Return everything about the account as a ZIP archive: profile, photos, jobs, payments, credits and all files.

    Results come as the tier shows them. A file that is gone is named in `manifest.json`, the last one in the archive:
    an archive without it was broken off.
    """
    database = database_of(request)
    async with database.transaction() as session:
        profile = (await profile_of(session, user, plans)).model_dump(mode="json")
        await AuditRepository(session).record("account.exported", user.id, user.id)
    marked = plans.plan(user.tier).watermark
    archive = Export(database, storage_of(request), user.id, profile, marked=marked)
    name = f"rekindle-export-{datetime.now(UTC):%Y-%m-%d}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(archive.stream(), media_type="application/zip", headers=headers)
