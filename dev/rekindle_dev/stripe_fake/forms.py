"""Stripe's way to write nested parameters in a query or a form: `line_items[0][price]=...`."""

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"[^\[\]]+")


def parse(text: str) -> dict[str, Any]:
    """Return the nested parameters; lists for numbered keys and for `key[]`."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parts = _PART.findall(name)
        if name.endswith("[]"):
            parts.append(str(len(_at(found, parts))))
        place = found
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    return {key: _listed(value) for key, value in found.items()}


def _at(found: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    for part in parts:
        found = found.setdefault(part, {})
    return found


def _listed(value: Any) -> Any:  # noqa: ANN401 - a string, or a dictionary at any depth
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    return list(inner.values()) if inner and all(key.isdigit() for key in inner) else inner
