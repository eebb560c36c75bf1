"""Tokens of AWS that RDS takes instead of a password."""

from typing import Protocol
from urllib.parse import unquote, urlsplit

import boto3
import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from rekindle_api.settings import DatabaseSettings

_PORT = 5432


class TokenSource(Protocol):
    """Gives what a new connection signs in with."""

    def __call__(self) -> str:
        """Return a token that is good now.

        Raises:
            psycopg.OperationalError: there is none, so no connection can be opened now.
        """


class RdsTokens:
    """Signs tokens with the credentials of this process; each opens connections for 15 minutes.

    References:
        Amazon RDS User Guide, "IAM database authentication".
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        parts = urlsplit(settings.database_url.get_secret_value())
        self._client = boto3.session.Session().client("rds", region_name=settings.database_iam_region)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORT
        self._user = unquote(parts.username or "")

    def __call__(self) -> str:
        """Return a token. Asks AWS only when the credentials themselves have to be renewed.

        Raises:
            psycopg.OperationalError: this process has no credentials of AWS, or cannot renew them now.
        """
        try:
            token: str = self._client.generate_db_auth_token(
                DBHostname=self._host, Port=self._port, DBUsername=self._user
            )
        except (BotoCoreError, ClientError) as error:
            raise psycopg.OperationalError(f"no token to sign in with: {error}") from error
        return token
