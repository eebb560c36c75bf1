"""The objects of an account: made, found, listed and told of. Times are Unix seconds of the account's own clock."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
_HIDDEN = "_"


class StripeError(Exception):
    """An error as Stripe answers it."""

    def __init__(self, status: int, code: str, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind


class Store:
    """Objects by their ids, in the order in which they were made, and the events about them."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.events: list[Object] = []
        self._numbers = itertools.count(1)
        self._ahead = 0

    @property
    def now(self) -> int:
        """The account's time."""
        return int(time.time()) + self._ahead

    def advance_to(self, moment: int) -> None:
        """Let time pass until then."""
        self._ahead += max(0, moment - self.now)

    def new_id(self, prefix: str) -> str:
        """Return an id that grows."""
        return f"{prefix}_{next(self._numbers):06}"

    def add(self, prefix: str, kind: str, **fields: Any) -> Object:  # noqa: ANN401 - fields of any object
        """Make an object."""
        made = {"id": self.new_id(prefix), "object": kind, "created": self.now, "livemode": False, **fields}
        self.objects[made["id"]] = made
        return made

    def get(self, kind: str, object_id: str) -> Object:
        """Return an object.

        Raises:
            StripeError: there is none.
        """
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind:
            raise StripeError(404, "resource_missing", f"No such {kind}: '{object_id}'")
        return found

    def all(self, kind: str) -> Iterator[Object]:
        """Return all objects of a kind, newest first."""
        # Copied first: another thread may add one meanwhile.
        return (each for each in reversed(list(self.objects.values())) if each["object"] == kind)

    def tell(self, kind: str, subject: Object) -> Object:
        """Record an event, with the object as it is now."""
        event = {
            "id": self.new_id("evt"),
            "object": "event",
            "type": kind,
            "created": self.now,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": wire(subject)},
        }
        self.events.append(event)
        return event


def wire(value: Any) -> Any:  # noqa: ANN401 - any part of an object
    """Return a copy without what is only known inside."""
    if isinstance(value, dict):
        return {key: wire(each) for key, each in value.items() if not key.startswith(_HIDDEN)}
    return [wire(each) for each in value] if isinstance(value, list) else value


def listed(items: list[Object], url: str, *, has_more: bool = False) -> Object:
    """Return a list as Stripe sends it."""
    return {"object": "list", "data": items, "has_more": has_more, "url": url}
