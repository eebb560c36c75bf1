"""POST /api/webhooks/stripe: an event is verified, stored once and answered; it is handled afterwards."""

import logging
from collections.abc import Iterable

import stripe
from fastapi import APIRouter, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import SecretStr, ValidationError

from rekindle_api.billing.context import deployment_of
from rekindle_api.billing.endpoints import OpenBilling
from rekindle_api.billing.errors import InvalidEventError, InvalidSignatureError
from rekindle_api.billing.events import SOURCE, Event, Received
from rekindle_api.database.connection import database_of
from rekindle_api.faults import Commit, at_commit
from rekindle_api.problems import raises
from rekindle_api.problems.common import DatabaseUnavailableError
from rekindle_api.settings import StripeSettings
from rekindle_api.webhooks.repository import WebhookRepository

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
_log = logging.getLogger(__name__)
_TOLERANCE_SECONDS = 300
# Only describes the header: what is sent is verified below.
_SIGNATURE = APIKeyHeader(
    name="Stripe-Signature", scheme_name="stripeSignature", description="Stripe's signature.", auto_error=False
)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "description": "An event of Stripe."},
                "example": {
                    "id": "evt_1RkindleExample",
                    "object": "event",
                    "type": "invoice.paid",
                    "created": 1_777_627_800,
                    "livemode": False,
                    "data": {"object": {"id": "in_1RkindleExample", "object": "invoice"}},
                },
            }
        },
    }
}


@router.post("/stripe", dependencies=[Security(_SIGNATURE)], openapi_extra=_BODY)
@raises(InvalidSignatureError, InvalidEventError, DatabaseUnavailableError)
async def receive(request: Request, billing: OpenBilling) -> Received:
    """Take an event of Stripe. What is not for us is answered too, so that Stripe does not send it again."""
    body = await request.body()
    _verify(body, request.headers.get("Stripe-Signature"), billing.settings.stripe_webhook_secrets)
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise InvalidEventError from error
    if event.object_id is None or not _is_ours(event, billing.settings):
        return Received()
    async with database_of(request).transaction() as session:
        new = await WebhookRepository(session).add(SOURCE, event.id, event.type, event.object_id, event.created)
        at_commit(session, Commit.EVENT_STORED)
    _log.info("event received", extra={"event": event.id, "type": event.type, "object": event.object_id, "new": new})
    return Received()


def _verify(body: bytes, header: str | None, secrets: Iterable[SecretStr]) -> None:
    """Do nothing if one of the secrets signed the body just now.

    Raises:
        InvalidSignatureError: none did.
    """
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, header, secret.get_secret_value(), _TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    raise InvalidSignatureError


def _is_ours(event: Event, settings: StripeSettings) -> bool:
    """Tell whether an event can be about an object of this deployment: not every object says whose it is."""
    return event.livemode == settings.livemode and deployment_of(event.metadata) in {None, settings.deployment}
