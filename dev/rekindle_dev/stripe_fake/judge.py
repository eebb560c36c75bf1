"""Holds our requests and answers against stripe-mock: it knows Stripe's OpenAPI."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

# What Stripe's fixtures leave out, or show in another of several forms.
_NOT_SHOWN = {
    "pricing.price_details",
    "payment.payment_intent",
    "recurring.usage_type",
    "payments",
    "latest_charge",
    "deleted",
}


class Judge:
    """A stripe-mock that is asked about everything.

    Attributes:
        strange: what our answers have and Stripe's have not, each with its path.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.strange: set[str] = set()

    def try_request(self, request: Request, text: str, answer: Any) -> bytes | None:  # noqa: ANN401 - JSON
        """Send a request there too, and compare the answers; return its refusal, if it is one."""
        address = f"{self._url}{request.url.path}"
        reading = request.method == "GET"
        forwarded = urllib.request.Request(  # noqa: S310 - stripe-mock's own address
            f"{address}?{text}" if reading else address,
            data=None if reading else text.encode(),
            method=request.method,
            headers={
                "Authorization": "Bearer sk_test_123",
                "Content-Type": "application/x-www-form-urlencoded",
                "Stripe-Version": request.headers.get("stripe-version", ""),
            },
        )
        try:
            with urllib.request.urlopen(forwarded, timeout=10) as reply:  # noqa: S310 - same
                theirs = json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.read()
        where = f"{request.method} {request.url.path.rpartition('/')[0]}"
        self.strange |= {f"{where}: {each}" for each in differences(answer, theirs)}
        return None


def differences(ours: Any, theirs: Any, *path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the path of everything that only we have, or that is of another type there."""
    shown = ".".join(path)
    if _is_exempt(path) or ours is None or theirs is None:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from differences(value, theirs[key], *path, key)
            elif not _is_exempt((*path, key)):
                yield f"{shown}.{key} is not there".lstrip(".")
    elif isinstance(ours, list) and isinstance(theirs, list):
        for each in ours if theirs else ():
            yield from differences(each, theirs[0], *path)
    elif type(ours) is not type(theirs):
        yield f"{shown} is {type(theirs).__name__} there"


def _is_exempt(path: tuple[str, ...]) -> bool:
    return path[-1:] == ("metadata",) or ".".join(path[-2:]) in _NOT_SHOWN or ".".join(path[-1:]) in _NOT_SHOWN
