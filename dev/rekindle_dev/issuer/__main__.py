"""Runs the issuer: `python -m rekindle_dev.issuer --directory DIRECTORY --port PORT`, API keys by environment."""

import argparse
import os
from pathlib import Path

import uvicorn

from rekindle_dev.issuer.accounts import Accounts
from rekindle_dev.issuer.server import Issuer, application
from rekindle_dev.issuer.tokens import KeyRing


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Serve a local stand-in for Supabase Auth on 127.0.0.1.")
    parser.add_argument("--directory", type=Path, required=True, help="where keys and accounts are kept")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    issuer = Issuer(
        url=f"http://127.0.0.1:{arguments.port}",
        keys=KeyRing(arguments.directory / "keys"),
        accounts=Accounts(arguments.directory / "accounts.sqlite"),
        publishable_key=os.environ["ISSUER_PUBLISHABLE_KEY"],
        secret_key=os.environ["ISSUER_SECRET_KEY"],
    )
    uvicorn.run(application(issuer), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
