"""What an answer of the API server means for an order, and when to try again. Pure."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from rekindle_api.bridge.sightings import MAX_MESSAGE_LENGTH


class Verdict(Enum):
    """What to do after a request."""

    DONE = auto()
    EXISTS = auto()
    """Something has this name already."""
    ABSENT = auto()
    """Nothing has this name."""
    INVALID = auto()
    """The object itself can never be accepted."""
    REFUSED = auto()
    """The server refused; trying for ever does not help, an administrator may."""
    UNAVAILABLE = auto()
    """No answer, or one that says to come back later."""


@dataclass(frozen=True)
class Answer:
    """The answer to one request: its status code, 0 for none, and what the server said or returned."""

    code: int
    message: str = ""
    resource: dict[str, Any] | None = None

    @property
    def error(self) -> str:
        """Code and message in one line that fits a column and a log line."""
        said = " ".join(self.message.split()) or "no message"
        return f"{self.code}: {said}"[:MAX_MESSAGE_LENGTH] if self.code else said[:MAX_MESSAGE_LENGTH]


_LATER = {408, 429}


def verdict_on_creation(answer: Answer) -> Verdict:
    """Read the answer to a POST."""
    named = {409: Verdict.EXISTS, 422: Verdict.INVALID}
    return named.get(answer.code) or _verdict(answer)


def verdict_on_change(answer: Answer) -> Verdict:
    """Read the answer to a GET, PATCH or DELETE of one object. A conflict means that it changed meanwhile."""
    named = {404: Verdict.ABSENT, 409: Verdict.UNAVAILABLE}
    return named.get(answer.code) or _verdict(answer)


def _verdict(answer: Answer) -> Verdict:
    if 200 <= answer.code < 300:
        return Verdict.DONE
    if answer.code == 0 or answer.code >= 500 or answer.code in _LATER:
        return Verdict.UNAVAILABLE
    return Verdict.REFUSED


def backoff(tries: int, first: float, limit: float, chance: float) -> float:
    """Return seconds to wait after `tries` failures: doubled each time, capped, in the upper half by `chance` (0 to 1).

    References:
        Exponential backoff with equal jitter: many orders that failed together come back apart.
    """
    ceiling = min(limit, first * 2.0 ** min(tries - 1, 30))
    return ceiling * (0.5 + chance / 2)
