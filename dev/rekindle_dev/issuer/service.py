"""Starts the issuer as a process, and makes sessions and tokens for tests."""

import json
import secrets
import sys
import time
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rekindle_dev.issuer.tokens import KeyRing, SigningKey, claims
from rekindle_dev.ports import on_free_ports
from rekindle_dev.processes import Child, Program

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Session:
    """A signed-in user."""

    user_id: str
    access_token: str
    refresh_token: str


class TokenIssuer:
    """A running issuer: a context manager that stops it at the end.

    Attributes:
        url: what Supabase calls the project's URL; the issuer's name is `{url}/auth/v1`.
        publishable_key: the API key of browsers.
        secret_key: the API key of administrators.
        webhook_secret: what its project would sign webhooks with.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.publishable_key = f"sb_publishable_{secrets.token_urlsafe(16)}"
        self.secret_key = f"sb_secret_{secrets.token_urlsafe(16)}"
        self.webhook_secret = secrets.token_hex(32)
        self.port = 0
        self._keys = KeyRing(directory / "keys")
        self._keys.add()
        self._child: Child | None = None

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Start an issuer that keeps its keys, accounts and log in `directory`.

        Raises:
            PartError: if it does not get ready; with the last lines of its log.
        """
        issuer = cls(directory)
        on_free_ports(1, lambda ports: issuer._serve(ports[0]))
        return issuer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What Supabase calls the project's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs now."""
        return self._keys.newest()

    def close(self) -> None:
        """Stop the issuer."""
        if self._child:
            self._child.kill()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: if it ended by itself; with the last lines of its log.
        """
        if self._child:
            self._child.check()

    def restart(self) -> None:
        """Start the issuer again on its port, with the keys and accounts that it had.

        Raises:
            PartError: if it does not get ready.
        """
        self.close()
        self._serve(self.port)

    def pause(self) -> None:
        """Freeze the issuer: connections open, and nobody answers."""
        if self._child:
            self._child.pause()

    def resume(self) -> None:
        """Let a paused issuer go on."""
        if self._child:
            self._child.resume()

    def rotate_key(self, *, withdraw_old: bool = False) -> SigningKey:
        """Sign with a new key from now on; the old ones stay published unless they are withdrawn."""
        key = self._keys.add()
        if withdraw_old:
            self._keys.forget_old()
        return key

    def sign_up(self, email: str, password: str, **metadata: object) -> Session:
        """Make an account, as a browser would, with what the user says of themselves; return its first session.

        Raises:
            urllib.error.HTTPError: if the issuer refuses, for example because the address is taken.
        """
        request = urllib.request.Request(  # noqa: S310 - our own URL
            f"{self.url}/auth/v1/signup",
            data=json.dumps({"email": email, "password": password, "data": metadata}).encode(),
            headers={"apikey": self.publishable_key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - same
            session = json.load(answer)
        return Session(session["user"]["id"], session["access_token"], session["refresh_token"])

    def access_token(
        self,
        user_id: str | uuid.UUID | None = None,
        *,
        key: SigningKey | None = None,
        headers: Mapping[str, Any] | None = None,
        **overrides: object,
    ) -> str:
        """Sign a token of one's own making, good unless something is overridden; needs no account.

        Args:
            user_id: its `sub`; a new one when left out.
            key: what signs it instead of the issuer's key.
            headers: added to the token's header.
            overrides: claims to set; None leaves the claim out.
        """
        subject = str(user_id or uuid.uuid4())
        content = claims(f"{self.url}/auth/v1", subject, f"{subject}@example.com", str(uuid.uuid4()), int(time.time()))
        kept = {name: value for name, value in {**content, **overrides}.items() if value is not None}
        return (key or self.signing_key).sign(kept, headers)

    def _serve(self, port: int) -> None:
        self.port = port
        command = (
            sys.executable, "-m", "rekindle_dev.issuer", f"--directory={self.directory}", f"--port={port}",
        )  # fmt: skip
        keys = {"ISSUER_PUBLISHABLE_KEY": self.publishable_key, "ISSUER_SECRET_KEY": self.secret_key}
        self._child = Child.start(Program("issuer", command, keys), self.directory / "issuer.log")
        try:
            self._child.wait_until(self._answers, seconds=READY_SECONDS)
        except BaseException:
            self._child.kill()
            raise

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/auth/v1/health", timeout=2) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
