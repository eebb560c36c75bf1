"""The command `rekindle-api admin`: settings, one transaction, the answer, the exit status."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.administration.answers import Answer, RefusedError
from rekindle_api.administration.desk import Desk, os_user
from rekindle_api.database import Database
from rekindle_api.settings import DatabaseSettings, PlanSettings, read

DONE, REFUSED, UNUSABLE = 0, 1, 2
Command = Callable[[Desk, argparse.Namespace], Awaitable[Answer]]


def run_admin(options: argparse.Namespace) -> int:
    """Run the command that was chosen; return the exit status.

    Raises:
        InvalidSettingsError: the environment is not complete.
    """
    database, plans = read(DatabaseSettings), read(PlanSettings)
    try:
        answer = asyncio.run(_answer(database, plans, options))
    except RefusedError as refused:
        sys.stderr.write(f"rekindle-api: {refused}\n")
        return REFUSED
    except SQLAlchemyError as error:
        sys.stderr.write(f"rekindle-api: the database cannot be used: {error}\n")
        return UNUSABLE
    sys.stdout.write(f"{answer.as_json() if options.json else answer.as_text()}\n")
    return answer.status


async def _answer(settings: DatabaseSettings, plans: PlanSettings, options: argparse.Namespace) -> Answer:
    command: Command = options.command
    database = Database(settings)
    try:
        async with database.transaction() as session:
            desk = Desk(session, plans, options.actor or os_user(), (options.reason or "").strip())
            return await command(desk, options)
    finally:
        await database.close()
