"""The command on the audit log: what was done by or to somebody or something."""

import argparse

from rekindle_api.administration.answers import Answer, Table
from rekindle_api.administration.desk import Desk
from rekindle_api.administration.records import AdminRecords, as_id

_COLUMNS = ("at", "action", "actor", "subject", "request", "details")


async def show_trail(desk: Desk, options: argparse.Namespace) -> Answer:
    """Show the entries of an id (account, photo, attempt, request), newest first."""
    found = await AdminRecords(desk.session).trail(options.id, options.limit)
    rows = [
        (
            entry.at,
            entry.action,
            entry.actor_id or entry.details.get("actor"),
            entry.subject_id,
            entry.request_id,
            " ".join(f"{name}={value}" for name, value in entry.details.items() if name != "actor"),
        )
        for entry in found
    ]
    await desk.note("audit_viewed", as_id(options.id))
    return Answer([Table("audit", _COLUMNS, rows)])
