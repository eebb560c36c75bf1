"""Routes under /api/v1/users: the caller's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from rekindle_api.accounts.erasure import cancel_deletion, request_deletion
from rekindle_api.accounts.profile import change_profile, profile_of
from rekindle_api.accounts.replies import DeletionCancelled, DeletionRequested, Profile
from rekindle_api.accounts.requests import ProfileUpdate
from rekindle_api.accounts.takeover import take_over
from rekindle_api.auth.dependencies import AnyCaller, CurrentUser, DepartingUser, record_of, refuse_closed
from rekindle_api.billing.context import Billing
from rekindle_api.billing.deletion import cancel_for_deletion
from rekindle_api.credits.service import ensure_account
from rekindle_api.database import DatabaseSession
from rekindle_api.database.connection import database_of
from rekindle_api.rates.dependencies import limited
from rekindle_api.settings import AccountSettings, PlanSettings
from rekindle_api.users.models import AccountStatus, User

router = APIRouter(prefix="/api/v1/users", tags=["users"])


async def _plans(request: Request) -> PlanSettings:
    plans: PlanSettings = request.app.state.plans
    return plans


Plans = Annotated[PlanSettings, Depends(_plans)]


@router.post("/sync", dependencies=[limited("sync")], responses={201: {"model": Profile, "description": "New."}})
async def sync(request: Request, response: Response, user: CurrentUser, caller: AnyCaller, plans: Plans) -> Profile:
    """Copy the account from Supabase: 201 when this made it, 200 when it was there."""
    if caller.created:
        # Supabase was asked when the account was made.
        response.status_code = 201
    else:
        if (record := await record_of(request, user)) is not None:
            user = (await take_over(database_of(request), record, plans)).user or user
        refuse_closed(user)
    async with database_of(request).transaction() as session:
        return await profile_of(session, user, plans)


@router.get("/me")
async def get_profile(user: CurrentUser, session: DatabaseSession, plans: Plans) -> Profile:
    """Return the account with what it has left."""
    return await profile_of(session, user, plans)


@router.put("/me")
async def update_profile(update: ProfileUpdate, user: CurrentUser, session: DatabaseSession, plans: Plans) -> Profile:
    """Change names and picture; what is left out stays, and an empty text clears."""
    # Before the account's row is changed: whatever needs both locks the credits first.
    await ensure_account(session, user, plans)
    return await profile_of(session, await change_profile(session, user, update), plans)


@router.delete("/me")
async def delete_account(request: Request, user: CurrentUser) -> DeletionRequested:
    """Ask for the account's deletion, which can be taken back for some days. What runs is cancelled at once.

    A subscription ends with the paid month. Until the deletion, the account can do nothing but be exported, and take
    the deletion back.
    """
    settings: AccountSettings = request.app.state.settings.accounts
    async with database_of(request).transaction() as session:
        user = await request_deletion(session, user.id)
    await _end_billing(request, user)
    asked = user.deletion_requested_at or user.updated_at
    return DeletionRequested(
        message=f"The account will be deleted in {settings.deletion_grace_days} days. Until then you can take it back.",
        deletion_requested_at=asked,
        archive_date=asked + settings.grace,
        grace_period_days=settings.deletion_grace_days,
    )


@router.post("/me/cancel-deletion")
async def take_deletion_back(user: DepartingUser, session: DatabaseSession) -> DeletionCancelled:
    """Take the account's deletion back. A subscription that was ended stays so; the portal can resume it."""
    user = await cancel_deletion(session, user.id)
    return DeletionCancelled(message="The account stays.", account_status=AccountStatus(user.status))


async def _end_billing(request: Request, user: User) -> None:
    billing: Billing | None = request.app.state.billing
    if billing is not None:
        await cancel_for_deletion(billing, user.id)
