"""Runs the account's HTTP face in a thread of this process, and signs its events."""

import json
import socket
import threading
import time
from typing import Self

import stripe
import uvicorn

from rekindle_dev.stripe_fake.account import Account
from rekindle_dev.stripe_fake.judge import Judge
from rekindle_dev.stripe_fake.server import Fake, application
from rekindle_dev.stripe_fake.store import Object

READY_SECONDS = 20.0


class StripeFake:
    """A running account: a context manager that stops it at the end.

    Attributes:
        account: what customers, time and banks do; see its methods.
        secret_key: the API key.
        webhook_secret: what signs events.
        url: stands in for Stripe's address.
    """

    def __init__(self, judge: Judge | None = None) -> None:
        self.secret_key = "sk_test_rekindle"  # noqa: S105 - of an account that exists only here
        self.webhook_secret = "whsec_of_an_account_that_exists_only_here"  # noqa: S105 - same
        self.judge = judge
        self.account = Account()
        self._fake = Fake(self.account, self.secret_key, judge)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(application(self._fake), log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    @classmethod
    def start(cls, stripe_mock_url: str | None = None) -> Self:
        """Start an empty account; a stripe-mock at this address judges every request and answer.

        Raises:
            TimeoutError: if it does not get ready.
        """
        fake = cls(Judge(stripe_mock_url) if stripe_mock_url else None)
        fake._thread.start()
        deadline = time.monotonic() + READY_SECONDS
        while not fake._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the stand-in for Stripe did not start")
            time.sleep(0.01)
        return fake

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it."""
        self._server.should_exit = True
        self._thread.join(READY_SECONDS)
        self._socket.close()

    @property
    def requests(self) -> list[str]:
        """Method and path of every request so far."""
        return list(self._fake.requests)

    def break_next(self, requests: int) -> None:
        """Give no good answer to so many of the next requests."""
        self._fake.broken = requests

    def signed(self, event: Object, *, secret: str | None = None, at: int | None = None) -> tuple[str, str]:
        """Return the body of an event's delivery, and the header that signs it."""
        body = json.dumps(event, indent=2)
        return body, stripe.WebhookSignature.generate_signature_header(body, secret or self.webhook_secret, at)
