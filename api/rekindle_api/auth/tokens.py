"""What an access token must be: signed by the issuer, for us, in time, and a user's own."""

import uuid
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK

from rekindle_api.auth.errors import InvalidTokenError
from rekindle_api.auth.keys import KeySet
from rekindle_api.settings import AuthSettings

# Never taken from the token: its header is the caller's own claim.
SIGNING_KEY_ALGORITHMS = ["ES256", "RS256"]
SHARED_SECRET_ALGORITHMS = ["HS256"]
REQUIRED_CLAIMS = ["exp", "iat", "sub", "aud", "iss"]
LEEWAY_SECONDS = 10


@dataclass(frozen=True)
class Claims:
    """What a good token says of its user."""

    user_id: uuid.UUID
    email: str | None
    expires_at: int
    """In seconds since 1970."""


class TokenVerifier:
    """Checks access tokens of one Supabase project."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._keys = KeySet(settings)
        self._algorithms = SIGNING_KEY_ALGORITHMS if settings.supabase_jwt_secret is None else SHARED_SECRET_ALGORITHMS

    async def verify(self, token: str) -> Claims:
        """Return the claims of a good token.

        Raises:
            InvalidTokenError: for every other one.
            KeysUnavailableError: when the issuer's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise InvalidTokenError("The access token cannot be read.") from error
        if header.get("alg") not in self._algorithms:
            raise InvalidTokenError("The access token is not signed as it must be.")
        key = await self._key(header.get("kid"))
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._settings.jwt_audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidTokenError("The access token has expired.") from error
        except jwt.PyJWTError as error:
            raise InvalidTokenError("The access token was refused.") from error
        return _claims(payload)

    async def _key(self, key_id: object) -> PyJWK | bytes:
        """Return what a token must be signed with; the settings alone say which kind of key that is."""
        if (secret := self._settings.supabase_jwt_secret) is not None:
            return secret.get_secret_value().encode()
        if not isinstance(key_id, str):
            raise InvalidTokenError("The access token is not signed as it must be.")
        return await self._keys.key(key_id)

    async def close(self) -> None:
        """End the connections."""
        await self._keys.close()


def _claims(payload: dict[str, Any]) -> Claims:
    if payload.get("role") != "authenticated":
        raise InvalidTokenError("The token is a service key, not a user's.")
    if payload.get("is_anonymous"):
        raise InvalidTokenError("Sign in with an account: anonymous sessions are not accepted.")
    try:
        user_id = uuid.UUID(str(payload["sub"]))
    except ValueError as error:
        raise InvalidTokenError("The access token names no user.") from error
    email = payload.get("email")
    # PyJWT has checked that exp is a number, which may have a fraction.
    return Claims(user_id, email if isinstance(email, str) and email else None, int(payload["exp"]))
