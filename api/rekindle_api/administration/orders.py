"""Commands on the outbox: what the bridge has to do, and what it set aside."""

import argparse

from rekindle_api.administration.answers import Answer, Record, RefusedError, Table
from rekindle_api.administration.desk import Desk
from rekindle_api.administration.records import AdminRecords
from rekindle_api.outbox.repository import OutboxRepository

_COLUMNS = ("attempt", "kind", "desired", "state", "tries", "created", "due", "last_error")


async def show_outbox(desk: Desk, options: argparse.Namespace) -> Answer:
    """Show how many orders wait, how many were set aside, and the oldest of both."""
    backlog = await OutboxRepository(desk.session).backlog()
    rows = [
        (
            order.attempt_id,
            order.kind,
            order.desired,
            "parked" if order.parked_at is not None else "waiting",
            order.attempts,
            order.created_at,
            order.available_at,
            order.last_error,
        )
        for order in await AdminRecords(desk.session).orders(options.limit)
    ]
    counts = {
        "waiting": backlog.waiting,
        "parked": backlog.parked,
        "oldest_waiting_seconds": round(backlog.oldest_seconds),
    }
    await desk.note("outbox_viewed", None)
    return Answer([Record("outbox", counts), Table("orders", _COLUMNS, rows)])


async def retry_order(desk: Desk, options: argparse.Namespace) -> Answer:
    """Have the bridge take up an order now, whether it waits for a later time or was set aside."""
    if not await OutboxRepository(desk.session).resume(options.attempt):
        raise RefusedError("Nothing is ordered for this attempt: `outbox` lists what is.")
    await desk.note("order_retried", options.attempt)
    return Answer([Record("order", {"attempt": options.attempt, "due": "now"})])
