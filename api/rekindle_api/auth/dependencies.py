"""What a route asks for when only signed-in users may call it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from rekindle_api.audit.repository import AuditRepository
from rekindle_api.auth.errors import (
    ACCOUNT_CLOSED,
    AccountBannedError,
    AccountClosedError,
    AccountDeletedError,
    AccountDeletionRequestedError,
    AccountSuspendedError,
    InvalidTokenError,
    KeysUnavailableError,
    MissingTokenError,
)
from rekindle_api.auth.tokens import Claims, TokenVerifier
from rekindle_api.database.connection import database_of
from rekindle_api.faults import Commit, at_commit
from rekindle_api.problems import raises
from rekindle_api.problems.common import DatabaseUnavailableError
from rekindle_api.settings import Plan, PlanSettings
from rekindle_api.users.applying import apply_record
from rekindle_api.users.changes import Action
from rekindle_api.users.directory import Directory, DirectoryUnavailableError
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository
from rekindle_api.users.supabase import SupabaseUser

_log = logging.getLogger(__name__)

# Only describes the scheme: the token itself is read and refused below.
BEARER = HTTPBearer(
    scheme_name="accessToken", bearerFormat="JWT", description="The user's Supabase access token.", auto_error=False
)


@raises(MissingTokenError, InvalidTokenError, KeysUnavailableError)
async def bearer_claims(request: Request) -> Claims:
    """Return what the request's access token says.

    Raises:
        MissingTokenError: there is none.
        InvalidTokenError: it is no good.
        KeysUnavailableError: it cannot be checked.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise MissingTokenError("Send the access token as `Authorization: Bearer ...`.")
    verifier: TokenVerifier = request.app.state.verifier
    return await verifier.verify(token.strip())


def refuse_closed(user: User, *, departing: bool = False) -> User:
    """Return a user whose account may act; with `departing`, also one who asked for its deletion.

    Raises:
        AccountClosedError: it may not.
    """
    if (refusal := _refusal(user, departing=departing)) is not None:
        raise refusal
    return user


def _refusal(user: User, *, departing: bool) -> AccountClosedError | None:
    if user.status == AccountStatus.DELETED:
        return AccountDeletedError()
    if user.status == AccountStatus.SUSPENDED:
        return AccountSuspendedError()
    if user.banned_until is not None and user.banned_until > datetime.now(UTC):
        return AccountBannedError()
    if user.status == AccountStatus.DELETION_REQUESTED and not departing:
        return AccountDeletionRequestedError()
    return None


@dataclass(frozen=True)
class Caller:
    """Whose token the request carries. `created` tells that this request made the account."""

    user: User
    created: bool


TokenClaims = Annotated[Claims, Depends(bearer_claims)]


@raises(DatabaseUnavailableError)
async def find_caller(request: Request, claims: TokenClaims) -> Caller:
    """Return who calls, whatever the state of the account, which is made on the first call."""
    # A transaction of its own: uploads and event streams must not hold one while they last.
    async with database_of(request).transaction() as session:
        user, created = await UserRepository(session).find_or_create(claims.user_id, claims.email)
        if created:
            await AuditRepository(session).record("account.created", user.id, user.id)
    return Caller(await _introduced(request, user) if created else user, created)


AnyCaller = Annotated[Caller, Depends(find_caller)]


async def record_of(request: Request, user: User) -> SupabaseUser | None:
    """Return what Supabase's admin API says of an account: one that is gone is marked as deleted.

    Returns:
        None if it says nothing now, which is no reason to end an account.
    """
    directory: Directory | None = request.app.state.directory
    if directory is None:
        return None
    try:
        record = await directory.find(user.supabase_user_id)
    except DirectoryUnavailableError as error:
        _log.warning("an account is taken over without Supabase's word", extra={"user": user.id, "error": error.cause})
        return None
    return record or SupabaseUser(id=user.supabase_user_id, deleted_at=datetime.now(UTC))


async def _introduced(request: Request, user: User) -> User:
    """Return a user who is new with what Supabase says of the account."""
    if (record := await record_of(request, user)) is None:
        return user
    async with database_of(request).transaction() as session:
        applied = await apply_record(session, record)
        if applied.action is Action.DELETED:
            await AuditRepository(session).record("account.deleted", None, user.id, wanted_by="supabase")
            at_commit(session, Commit.ACCOUNT_ENDED)
    return applied.user or user


@raises(*ACCOUNT_CLOSED)
async def current_user(caller: AnyCaller, _scheme: Annotated[object, Security(BEARER)]) -> User:
    """Return the user who calls."""
    return refuse_closed(caller.user)


@raises(*(kind for kind in ACCOUNT_CLOSED if kind is not AccountDeletionRequestedError))
async def departing_user(caller: AnyCaller, _scheme: Annotated[object, Security(BEARER)]) -> User:
    """Return the user who calls, who may have asked for the account's deletion."""
    return refuse_closed(caller.user, departing=True)


CurrentUser = Annotated[User, Depends(current_user)]
DepartingUser = Annotated[User, Depends(departing_user)]


async def current_plan(request: Request, user: CurrentUser) -> Plan:
    """Return what the caller's tier gives now."""
    plans: PlanSettings = request.app.state.plans
    return plans.plan(user.tier)


CurrentPlan = Annotated[Plan, Depends(current_plan)]
