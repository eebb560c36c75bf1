"""An account as its owner sees it."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.accounts.replies import Profile
from rekindle_api.accounts.requests import ProfileUpdate
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.auth.dependencies import refuse_closed
from rekindle_api.credits.service import ensure_account, spendable
from rekindle_api.photos.quota import used_bytes
from rekindle_api.settings import PlanSettings, Tier
from rekindle_api.settings.plans import GIB
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository


async def profile_of(session: AsyncSession, user: User, plans: PlanSettings) -> Profile:
    """Return an account with what it has left."""
    await ensure_account(session, user, plans)
    used, limit = await used_bytes(session, user.id), plans.plan(user.tier).storage_bytes
    return Profile(
        id=user.id,
        supabase_user_id=user.supabase_user_id,
        email=user.email,
        email_verified=user.email_verified_at is not None,
        first_name=user.first_name,
        last_name=user.last_name,
        full_name=" ".join(name for name in (user.first_name, user.last_name) if name) or None,
        profile_image_url=user.profile_image_url,
        account_status=AccountStatus(user.status),
        subscription_tier=Tier(user.tier),
        total_credits=await spendable(session, user.id),
        storage_limit_gb=round(limit / GIB, 3),
        storage_used_gb=round(used / GIB, 3),
        storage_percentage=percentage(used, limit),
        created_at=user.created_at,
        updated_at=user.updated_at,
    )


def percentage(used: int, limit: int) -> float:
    """Return how much of a limit is used; a limit of nothing is used up."""
    return round(100 * used / limit, 2) if limit else 100.0


async def change_profile(session: AsyncSession, user: User, update: ProfileUpdate) -> User:
    """Change what the owner may change; from then on Supabase's names and picture are not taken over.

    Raises:
        AccountClosedError: the account was closed meanwhile.
    """
    if not (columns := update.columns()):
        return user
    # Looked at again under the lock: a tombstone must stay without personal data.
    locked = await UserRepository(session).get(user.id, lock=True)
    assert locked is not None  # noqa: S101 - rows of users are never deleted
    refuse_closed(locked)
    await AuditRepository(session).record("account.profile_changed", user.id, user.id)
    return await UserRepository(session).change(user.id, {**columns, "profile_changed_at": datetime.now(UTC)})
