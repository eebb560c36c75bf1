"""What a person's name and picture may be."""

import unicodedata
from urllib.parse import urlsplit

MAX_NAME_LENGTH = 100
MAX_URL_LENGTH = 2048
_JOINERS = frozenset(" '-\u2019")


def checked_name(value: str) -> str | None:
    """Return a name without the spaces around it; None for an empty one.

    Letters of any script with their marks, spaces, apostrophes and hyphens make a name.

    Raises:
        ValueError: it is none.
    """
    name = unicodedata.normalize("NFC", value).strip()
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"must not be longer than {MAX_NAME_LENGTH} characters")
    if not all(character in _JOINERS or unicodedata.category(character)[0] in "LM" for character in name):
        raise ValueError("may have letters, spaces, apostrophes and hyphens only")
    if name and not any(unicodedata.category(character)[0] == "L" for character in name):
        raise ValueError("must have a letter")
    return name or None


def checked_picture(value: str) -> str | None:
    """Return the https address of a picture; None for an empty one.

    Raises:
        ValueError: it is none.
    """
    url = value.strip()
    if not url:
        return None
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"must not be longer than {MAX_URL_LENGTH} characters")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be an https:// URL")
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ValueError("must be an https:// URL")
    return url


def clean_name(value: object) -> str | None:
    """Return a name that somebody else wrote, None when it is none."""
    try:
        return checked_name(value) if isinstance(value, str) else None
    except ValueError:
        return None


def clean_picture(value: object) -> str | None:
    """Return the address of a picture that somebody else wrote, None when it is none."""
    try:
        return checked_picture(value) if isinstance(value, str) else None
    except ValueError:
        return None
