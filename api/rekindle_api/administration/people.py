"""Commands on accounts: look one up, suspend it, open it again."""

import argparse

from rekindle_api.administration.answers import Answer, Record, RefusedError, Table
from rekindle_api.administration.desk import Desk
from rekindle_api.administration.records import AdminRecords
from rekindle_api.credits.repository import CreditRepository
from rekindle_api.credits.service import spendable
from rekindle_api.photos.quota import used_bytes
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository

_ATTEMPT = ("id", "kind", "status", "reason", "credits", "created", "finished")
_PAYMENT = ("id", "description", "amount", "refunded", "currency", "credits", "paid")


async def show_user(desk: Desk, options: argparse.Namespace) -> Answer:
    """Show an account: its state, credits, storage, and the last of its attempts and payments."""
    user = await desk.user(options.user)
    await desk.note("user_viewed", user.id)
    records = AdminRecords(desk.session)
    payments = [
        (paid.id, paid.description, paid.amount, paid.amount_refunded, paid.currency, paid.credits, paid.paid_at)
        for paid in await records.payments(user.id, options.limit)
    ]
    return Answer(
        [
            Record("user", _facts(user)),
            Record("credits", await _credits(desk, user)),
            Record("storage", await _storage(desk, user)),
            Table("attempts", _ATTEMPT, await records.attempts(user.id, options.limit)),
            Table("payments", _PAYMENT, payments),
        ]
    )


async def suspend_user(desk: Desk, options: argparse.Namespace) -> Answer:
    """Refuse an account everything from its next request on. What runs for it goes on."""
    user = await _locked(desk, options.user)
    if user.status not in {AccountStatus.ACTIVE, AccountStatus.SUSPENDED}:
        raise RefusedError(f"The account is {user.status.replace('_', ' ')}, and can do nothing already.")
    return await _put(desk, user, AccountStatus.SUSPENDED, "user_suspended")


async def resume_user(desk: Desk, options: argparse.Namespace) -> Answer:
    """Let a suspended account act again."""
    user = await _locked(desk, options.user)
    if user.status not in {AccountStatus.ACTIVE, AccountStatus.SUSPENDED}:
        raise RefusedError(f"The account is {user.status.replace('_', ' ')}, not suspended.")
    return await _put(desk, user, AccountStatus.ACTIVE, "user_resumed")


async def _put(desk: Desk, user: User, status: AccountStatus, action: str) -> Answer:
    changed = user.status != status
    if changed:
        user = await UserRepository(desk.session).change(user.id, {"status": status})
        await desk.note(action, user.id)
    return Answer([Record("user", {"id": user.id, "status": user.status, "changed": changed})])


async def _locked(desk: Desk, wanted: str) -> User:
    user = await UserRepository(desk.session).get((await desk.user(wanted)).id, lock=True)
    if user is None:
        raise RefusedError("There is no such account.")
    return user


def _facts(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "supabase_id": user.supabase_user_id,
        "email": user.email,
        "email_verified": user.email_verified_at,
        "name": " ".join(name for name in (user.first_name, user.last_name) if name),
        "status": user.status,
        "banned_until": user.banned_until,
        "tier": user.tier,
        "renews": user.renews_at,
        "stripe_customer": user.stripe_customer_id,
        "created": user.created_at,
        "deletion_requested": user.deletion_requested_at,
        "deleted": user.deleted_at,
    }


async def _credits(desk: Desk, user: User) -> dict[str, object]:
    account = await CreditRepository(desk.session, user.id).account()
    return {
        "spendable": await spendable(desk.session, user.id),
        "balance": account.balance,
        "held": account.held,
        "debt": account.debt,
    }


async def _storage(desk: Desk, user: User) -> dict[str, object]:
    return {
        "photos": await AdminRecords(desk.session).photos(user.id),
        "used_bytes": await used_bytes(desk.session, user.id),
        "limit_bytes": desk.plans.plan(user.tier).storage_bytes,
    }
