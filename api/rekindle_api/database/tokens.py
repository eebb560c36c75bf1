"""Tokens of AWS that RDS takes instead of a password."""

from typing import Protocol
from urllib.parse import unquote, urlsplit

import boto3

from rekindle_api.settings import DatabaseSettings

_PORT = 5432


class TokenSource(Protocol):
    """Gives what a new connection signs in with."""

    def __call__(self) -> str:
        """Return a token that is good now."""


class RdsTokens:
    """Signs tokens with the credentials of this process; each opens connections for 15 minutes.

    References:
        Amazon RDS User Guide, "IAM database authentication".
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        parts = urlsplit(settings.database_url.get_secret_value())
        self._client = boto3.client("rds", region_name=settings.database_iam_region)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORT
        self._user = unquote(parts.username or "")

    def __call__(self) -> str:
        """Return a token. Asks AWS only when the credentials themselves have to be renewed."""
        token: str = self._client.generate_db_auth_token(DBHostname=self._host, Port=self._port, DBUsername=self._user)
        return token
