"""Commands on the inbox of webhooks: what came, what became of it, and once more."""

import argparse

from rekindle_api.administration.answers import Answer, RefusedError, Sheets, Table
from rekindle_api.administration.desk import Desk
from rekindle_api.administration.records import AdminRecords
from rekindle_api.webhooks.models import WebhookEvent
from rekindle_api.webhooks.repository import WebhookRepository

_COLUMNS = ("source", "external_id", "type", "object_id", "received", "state", "attempts", "outcome")


async def list_events(desk: Desk, options: argparse.Namespace) -> Answer:
    """List events, newest first."""
    found = await AdminRecords(desk.session).events(options.state, options.source, options.limit)
    rows = [
        (one.source, one.external_id, one.type, one.object_id, one.received_at, _state(one), one.attempts, one.outcome)
        for one in found
    ]
    await desk.note("webhooks_viewed", None)
    return Answer([Table("webhooks", _COLUMNS, rows)])


async def show_event(desk: Desk, options: argparse.Namespace) -> Answer:
    """Show the events of this id, or about this object."""
    found = await _found(desk, options.event)
    for one in found:
        await desk.note("webhook_viewed", one.id)
    facts = [_facts(one) for one in found]
    return Answer([Sheets("webhooks", tuple(facts[0]), [tuple(one.values()) for one in facts])])


async def replay_event(desk: Desk, options: argparse.Namespace) -> Answer:
    """Have an event handled again: its object is read anew from the provider; what was done already is not redone."""
    found = [one for one in await _found(desk, options.event) if one.external_id == options.event]
    if not found:
        raise RefusedError("Name the event itself: `webhooks show` lists the events about an object.")
    for one in found:
        await WebhookRepository(desk.session).replay(one.source, one.external_id)
        await desk.note("webhook_replayed", one.id, source=one.source, external_id=one.external_id)
    return Answer([Table("replayed", ("source", "external_id", "type"), [_name(one) for one in found])])


async def _found(desk: Desk, wanted: str) -> list[WebhookEvent]:
    found = await WebhookRepository(desk.session).find(wanted)
    if not found:
        raise RefusedError("There is no event of this id, and none about an object of this id.")
    return found


def _name(event: WebhookEvent) -> tuple[str, str, str]:
    return event.source, event.external_id, event.type


def _state(event: WebhookEvent) -> str:
    if event.parked_at is not None:
        return "parked"
    return "waiting" if event.handled_at is None else "handled"


def _facts(event: WebhookEvent) -> dict[str, object]:
    return {
        "source": event.source,
        "external_id": event.external_id,
        "type": event.type,
        "object_id": event.object_id,
        "state": _state(event),
        "occurred": event.occurred_at,
        "received": event.received_at,
        "handled": event.handled_at,
        "attempts": event.attempts,
        "outcome": event.outcome,
        "last_error": event.last_error,
    }
