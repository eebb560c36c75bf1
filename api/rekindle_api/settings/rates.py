"""How many requests of a kind one user may send."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from rekindle_api.settings.environment import DomainSettings

Policy = Literal["sync", "upload", "restore", "animate", "tickets", "checkout"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_FORM = re.compile(rf"([1-9][0-9]{{0,8}})/({'|'.join(_SECONDS)})")


@dataclass(frozen=True)
class Rate:
    """So many requests in so much time."""

    requests: int
    unit: str

    def __str__(self) -> str:
        """Return the form in which settings write it."""
        return f"{self.requests}/{self.unit}"

    @property
    def window(self) -> timedelta:
        """The time in which all requests that are used up come back."""
        return timedelta(seconds=_SECONDS[self.unit])

    @property
    def step(self) -> timedelta:
        """The time in which one request comes back."""
        return self.window / self.requests


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    if (found := _FORM.fullmatch(value.strip())) is None:
        raise ValueError("must be requests per time, such as 5/minute (second, minute, hour or day)")
    return Rate(int(found[1]), found[2])


RateSetting = Annotated[Rate, NoDecode, BeforeValidator(_parsed)]


class RateSettings(DomainSettings):
    """How many requests one user may send: all at once, then one each time a part of the window has passed."""

    rate_sync: RateSetting = Rate(5, "minute")
    """Requests to copy the account from Supabase."""
    rate_upload: RateSetting = Rate(300, "minute")
    """Uploads; of one straight to the storage, the form and the completion count each."""
    rate_restore: RateSetting = Rate(120, "minute")
    """Requests for a restoration."""
    rate_animate: RateSetting = Rate(60, "minute")
    """Requests for an animation."""
    rate_tickets: RateSetting = Rate(300, "minute")
    """Tickets for event streams."""
    rate_checkout: RateSetting = Rate(10, "minute")
    """Checkout pages."""

    def of(self, policy: Policy) -> Rate:
        """Return the rate of a policy."""
        rate: Rate = getattr(self, f"rate_{policy}")
        return rate
