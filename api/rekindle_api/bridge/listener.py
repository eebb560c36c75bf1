"""Wakes a loop when PostgreSQL notifies of work for it. Notifications may get lost: they only save waiting."""

import asyncio
import logging

import psycopg
from psycopg import sql

from rekindle_api.database import Database

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 30.0
_RECONNECT_SECONDS = 2.0


async def listen(database: Database, channel: str, wake: asyncio.Event) -> None:
    """Set `wake` at each notification of `channel`, for ever."""
    while True:
        try:
            async with await database.connect("rekindle-api-bridge") as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                wake.set()
                while True:
                    async for _ in connection.notifies(timeout=_CHECK_SECONDS):
                        wake.set()
                    # A connection that died in silence is found by a question, not by waiting.
                    await connection.execute("SELECT 1")
        except psycopg.Error as error:
            _log.warning("listening interrupted", extra={"error": type(error).__name__})
        await asyncio.sleep(_RECONNECT_SECONDS)
