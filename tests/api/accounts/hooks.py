"""What Supabase sends when an account is made, changed or deleted."""

import hashlib
import hmac
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

SECRET = "a webhook secret of more than 32 characters"
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
HASH = "$2a$10$the-hash-of-a-password-that-nobody-may-see"
TOKEN = "a-one-time-token-that-nobody-may-see"

Record = dict[str, Any]


def account_row(user_id: str | None = None, minute: float = 0, **columns: object) -> Record:
    """Return a whole row of auth.users, as a database webhook sends it; `minute` is when it was changed."""
    user_id = user_id or str(uuid.uuid4())
    changed = (BEGIN + timedelta(minutes=minute)).isoformat()
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": f"{user_id}@example.com",
        "encrypted_password": HASH,
        "confirmation_token": TOKEN,
        "recovery_token": TOKEN,
        "email_change_token_new": TOKEN,
        "phone": "+4930123456",
        "email_confirmed_at": BEGIN.isoformat(),
        "raw_user_meta_data": {"first_name": "Ada", "last_name": "Lovelace", "theme": "dark"},
        "raw_app_meta_data": {"provider": "email"},
        "banned_until": None,
        "deleted_at": None,
        "is_anonymous": False,
        "created_at": BEGIN.isoformat(),
        "updated_at": changed,
        **columns,
    }


def event(kind: str, record: Record) -> Record:
    """Return the body of a database webhook."""
    deleted = kind == "DELETE"
    return {
        "type": kind,
        "schema": "auth",
        "table": "users",
        "record": None if deleted else record,
        "old_record": record if deleted else None,
    }


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """Return the headers of a signed webhook."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-supabase-timestamp": timestamp, "x-supabase-signature": digest}
