"""JSON of users that can be stored and sent back: jsonb takes no NUL, no lone surrogate and no NaN."""

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator, JsonValue, TypeAdapter

MAX_JSON_BYTES = 16_384
MAX_JSON_DEPTH = 32
"""What is nested deeper can be read, but replies that hold it cannot be written."""


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    _check(value)
    if len(json.dumps(value)) > MAX_JSON_BYTES:
        raise ValueError(f"must not be longer than {MAX_JSON_BYTES} bytes")
    return value


def _check(value: JsonValue, depth: int = 0) -> None:
    if depth > MAX_JSON_DEPTH:
        raise ValueError(f"must not be nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            _check(item, depth + 1)


def check_text(value: str) -> str:
    """Return a text unchanged.

    Raises:
        ValueError: it has a NUL character, or half of a surrogate pair.
    """
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must be Unicode text without NUL characters")
    return value


StorableText = Annotated[str, AfterValidator(check_text)]
StorableObject = Annotated[dict[str, Any], AfterValidator(_storable)]
STORABLE_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(StorableObject)
