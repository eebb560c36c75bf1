"""The route that Supabase calls when an account is made, changed or deleted."""

import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field

from rekindle_api.accounts.erasure import close_account
from rekindle_api.accounts.errors import ForgedWebhookError, UnreadableWebhookError, WebhookNotConfiguredError
from rekindle_api.accounts.replies import WebhookReply
from rekindle_api.accounts.signatures import SIGNATURE_HEADER, has_secret, is_signed
from rekindle_api.accounts.takeover import take_over
from rekindle_api.database.connection import database_of
from rekindle_api.problems import raises
from rekindle_api.settings import SupabaseSettings
from rekindle_api.users.applying import Applied
from rekindle_api.users.changes import Action
from rekindle_api.users.supabase import SupabaseUser

# These only describe the two ways in: what is sent is read and refused below.
_SIGNATURE = APIKeyHeader(
    name=SIGNATURE_HEADER,
    scheme_name="supabaseSignature",
    description="`sha256=` and the HMAC-SHA256, in hex, of `x-supabase-timestamp`, a full stop and the body.",
    auto_error=False,
)
_SECRET = APIKeyHeader(
    name="x-webhook-secret",
    scheme_name="supabaseSecret",
    description="The secret itself, for a webhook made in the dashboard. The header's name is a setting.",
    auto_error=False,
)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["type", "table", "schema"]},
                "example": {
                    "type": "UPDATE",
                    "schema": "auth",
                    "table": "users",
                    "record": {
                        "id": "01975c6e-0a11-7b6d-8a3c-94d5e2f7b801",
                        "email": "ada@example.com",
                        "email_confirmed_at": "2026-05-01T09:30:00Z",
                        "updated_at": "2026-05-01T09:30:00Z",
                    },
                    "old_record": {"id": "01975c6e-0a11-7b6d-8a3c-94d5e2f7b801"},
                },
            }
        },
    }
}

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
_log = logging.getLogger(__name__)


class _Event(BaseModel):
    """The envelope of a database webhook. The record itself is read by those who know which fields to take."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: str
    table: str
    table_schema: str = Field(alias="schema")
    record: dict[str, Any] | None = None
    old_record: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Deletion:
    """The end of a row of auth.users."""

    supabase_user_id: uuid.UUID


@raises(WebhookNotConfiguredError, ForgedWebhookError)
async def _authentic_body(request: Request) -> bytes:
    """Return the body of a webhook that is Supabase's."""
    settings: SupabaseSettings = request.app.state.settings.supabase
    secrets = [secret.get_secret_value() for secret in settings.supabase_webhook_secrets]
    if not secrets:
        raise WebhookNotConfiguredError
    body = await request.body()
    if SIGNATURE_HEADER in request.headers:
        tolerance = settings.supabase_webhook_tolerance_seconds
        good = is_signed(request.headers, body, secrets, tolerance_seconds=tolerance, now=time.time())
    else:
        good = has_secret(request.headers.get(settings.supabase_webhook_header, ""), secrets)
    if not good:
        raise ForgedWebhookError
    return body


@router.post("/supabase", dependencies=[Security(_SIGNATURE), Security(_SECRET)], openapi_extra=_BODY)
@raises(UnreadableWebhookError)
async def supabase_webhook(request: Request, body: Annotated[bytes, Depends(_authentic_body)]) -> WebhookReply:
    """Take over what Supabase says of an account, unless something newer is known.

    Called by a trigger on `auth.users`, with a signature or a secret in a header. Events come late, twice, in any
    order, or never; the newest counts, and a deletion counts for good.
    """
    notice = _read(body)
    applied = await _apply(request, notice) if notice is not None else Applied(Action.IGNORED)
    user_id = applied.user.id if applied.user is not None else None
    _log.info("webhook of Supabase", extra={"action": applied.action, "user": user_id})
    return WebhookReply(action=applied.action, user_id=user_id)


def _read(body: bytes) -> SupabaseUser | _Deletion | None:
    """Return what a webhook says of an account; None when it is about something else.

    Raises:
        UnreadableWebhookError: it is no database webhook, or its record no account.
    """
    try:
        event = _Event.model_validate(json.loads(body))
        if (event.table_schema, event.table) != ("auth", "users"):
            return None
        if event.type == "DELETE":
            return _Deletion(uuid.UUID(str((event.old_record or {}).get("id"))))
        return SupabaseUser.read(event.record or {}) if event.type in {"INSERT", "UPDATE"} else None
    except (ValueError, RecursionError):
        # What was wrong is not passed on: it may quote the record, and with it the password's hash.
        raise UnreadableWebhookError from None


async def _apply(request: Request, notice: SupabaseUser | _Deletion) -> Applied:
    if isinstance(notice, _Deletion):
        return await close_account(database_of(request), notice.supabase_user_id)
    return await take_over(database_of(request), notice, request.app.state.plans)
