"""Tickets: what a browser's EventSource, which sends no header, puts into the address of a stream instead of a token.

A ticket opens the streams of one photo, any number of times, until the access token that it was got with would end.
It is signed and stored nowhere, so every replica takes it; whether its account may still act is asked at each use.
"""

import logging
import secrets
import uuid
from dataclasses import dataclass

import jwt

from rekindle_api.problems import Problem
from rekindle_api.settings import LiveSettings

_ALGORITHM = "HS256"
_ISSUER = "rekindle"
_AUDIENCE = "rekindle:events"
_log = logging.getLogger(__name__)


class InvalidTicketError(Problem):
    """The ticket is expired, forged, or for another photo."""

    status = 401
    code = "invalid_ticket"
    title = "The ticket is not valid"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        super().__init__("The ticket has expired, or is not one for this photo. Ask for another.")


@dataclass(frozen=True)
class Reader:
    """Who may follow a photo, and until when, in seconds since 1970."""

    user_id: uuid.UUID
    until: int


class Tickets:
    """Gives tickets out and takes them."""

    def __init__(self, settings: LiveSettings) -> None:
        if settings.ticket_secret is None:
            _log.warning("TICKET_SECRET is not set: tickets of this process are good for no other, nor after a restart")
            self._secret = secrets.token_hex(32)
        else:
            self._secret = settings.ticket_secret.get_secret_value()

    def issue(self, reader: Reader, photo_id: uuid.UUID) -> str:
        """Return a ticket for one photo."""
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(reader.user_id),
            "photo": str(photo_id),
            "exp": reader.until,
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def reader(self, ticket: str, photo_id: uuid.UUID) -> Reader:
        """Return who holds a ticket.

        Raises:
            InvalidTicketError: it is no ticket, one for another photo, or over.
        """
        try:
            claims = jwt.decode(
                ticket,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": ["exp", "sub", "aud", "iss", "photo"]},
            )
            reader = Reader(uuid.UUID(claims["sub"]), int(claims["exp"]))
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidTicketError from error
        if claims["photo"] != str(photo_id):
            raise InvalidTicketError
        return reader
