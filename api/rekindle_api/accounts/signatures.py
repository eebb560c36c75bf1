"""How a webhook proves that it is Supabase's: a signature over its bytes and its time, or a secret in a header.

The signature is the hexadecimal HMAC-SHA256 of `<timestamp>.<body>`; the trigger that this project installs sends it.
Supabase's own database webhooks sign nothing, but send headers that are set up with them.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

SIGNATURE_HEADER = "x-supabase-signature"
TIMESTAMP_HEADER = "x-supabase-timestamp"


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a body that is sent at a time, in seconds since 1970."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def is_signed(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, tolerance_seconds: int, now: float
) -> bool:
    """Tell whether one of the secrets signed the body, not long ago."""
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now - int(timestamp)) > tolerance_seconds:
        return False
    given = headers.get(SIGNATURE_HEADER, "").removeprefix("sha256=").lower()
    return _equals_any(given, [signature(secret.encode(), timestamp, body) for secret in secrets])


def has_secret(given: str, secrets: Sequence[str]) -> bool:
    """Tell whether a header holds one of the secrets."""
    return bool(given) and _equals_any(given, secrets)


def _equals_any(given: str, wanted: Sequence[str]) -> bool:
    """Compare with each, in a time that does not tell how much of it is equal."""
    return any(hmac.compare_digest(given.encode(), one.encode()) for one in wanted)
