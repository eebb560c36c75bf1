"""A stand-in for Supabase Auth."""

from pathlib import Path

import uvicorn

from rekindle_dev.issuer.accounts import Accounts
from rekindle_dev.issuer.server import Issuer, application
from rekindle_dev.issuer.tokens import KeyRing

PUBLISHABLE_KEY = "sb_publishable_tryout"
"""What browsers send: no secret."""


def run(directory: Path, host: str, port: int, url: str, secret_key: str) -> None:
    """Serve until SIGTERM; tokens name `url`, whatever address a request came by."""
    keys = KeyRing(directory / "keys")
    if not keys.load():
        keys.add()
    issuer = Issuer(
        url=url.rstrip("/"),
        keys=keys,
        accounts=Accounts(directory / "accounts.sqlite"),
        publishable_key=PUBLISHABLE_KEY,
        secret_key=secret_key,
    )
    uvicorn.run(application(issuer), host=host, port=port, log_level="warning")
