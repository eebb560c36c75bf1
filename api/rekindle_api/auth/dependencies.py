"""What a route asks for when only signed-in users may call it."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from rekindle_api.auth.errors import AccountClosedError, InvalidTokenError, KeysUnavailableError, MissingTokenError
from rekindle_api.auth.tokens import Claims, TokenVerifier
from rekindle_api.database.connection import database_of
from rekindle_api.problems import raises
from rekindle_api.settings import Plan, PlanSettings
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository

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


def refuse_closed(user: User) -> User:
    """Return a user whose account may act.

    Raises:
        AccountClosedError: it may not.
    """
    if user.status != AccountStatus.ACTIVE:
        raise AccountClosedError("This account is suspended or deleted.")
    return user


TokenClaims = Annotated[Claims, Depends(bearer_claims)]


@raises(AccountClosedError)
async def current_user(request: Request, claims: TokenClaims, _scheme: Annotated[object, Security(BEARER)]) -> User:
    """Return the user who calls, made on the first call."""
    # A transaction of its own: uploads and event streams must not hold one while they last.
    async with database_of(request).transaction() as session:
        user = await UserRepository(session).find_or_create(claims.user_id, claims.email)
    return refuse_closed(user)


CurrentUser = Annotated[User, Depends(current_user)]


def current_plan(request: Request, user: CurrentUser) -> Plan:
    """Return what the caller's tier gives now."""
    plans: PlanSettings = request.app.state.plans
    return plans.plan(user.tier)


CurrentPlan = Annotated[Plan, Depends(current_plan)]
