"""The connection pool, and the one way to a transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from rekindle_api.settings import DatabaseSettings


class Database:
    """A pool of connections to PostgreSQL."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._engine = create_async_engine(
            settings.sqlalchemy_url,
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_pool_overflow,
            pool_pre_ping=True,
            pool_recycle=1800,
            # Errors end up in the log, and parameters hold what users wrote.
            hide_parameters=True,
            connect_args={"connect_timeout": 5, "application_name": "rekindle-api"},
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction: committed when the block ends, rolled back when it raises."""
        async with self._sessions.begin() as session:
            yield session

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def database_of(request: Request) -> Database:
    """Return the application's database."""
    database: Database = request.app.state.database
    return database


async def _transaction(database: Annotated[Database, Depends(database_of)]) -> AsyncIterator[AsyncSession]:
    async with database.transaction() as session:
        yield session


# The scope "function" ends the transaction before the response is sent: a failed commit is never reported as success.
DatabaseSession = Annotated[AsyncSession, Depends(_transaction, scope="function")]
