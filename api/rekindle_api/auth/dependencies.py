"""What a route asks for when only signed-in users may call it."""

from typing import Annotated

from fastapi import Depends, Request

from rekindle_api.auth.errors import AccountClosedError, MissingTokenError
from rekindle_api.auth.tokens import TokenVerifier
from rekindle_api.database.connection import database_of
from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.repository import UserRepository


async def _current_user(request: Request) -> User:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise MissingTokenError("Send the access token as `Authorization: Bearer ...`.")
    verifier: TokenVerifier = request.app.state.verifier
    claims = await verifier.verify(token.strip())
    # A transaction of its own: uploads and event streams must not hold one while they last.
    async with database_of(request).transaction() as session:
        user = await UserRepository(session).find_or_create(claims.user_id, claims.email)
    if user.status != AccountStatus.ACTIVE:
        raise AccountClosedError("This account is suspended or deleted.")
    return user


CurrentUser = Annotated[User, Depends(_current_user)]
