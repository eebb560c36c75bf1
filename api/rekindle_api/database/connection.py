"""The ways to PostgreSQL: the pool with its transactions, and single connections that stand outside it.

Every one is opened with the same proof of the server, and where tokens take the place of a password, each with its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from sqlalchemy import Engine, create_engine, event, pool
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.util import await_only

from rekindle_api.database.tokens import RdsTokens, TokenSource
from rekindle_api.problems import raises
from rekindle_api.problems.common import DatabaseUnavailableError
from rekindle_api.settings import DatabaseSettings

_CONNECT_SECONDS = 5


class Database:
    """PostgreSQL as one process uses it. `tokens` is where sign-in tokens come from when the settings ask for them."""

    def __init__(self, settings: DatabaseSettings, tokens: TokenSource | None = None) -> None:
        self._settings = settings
        self._tokens = tokens or _tokens(settings)
        self._engine = create_async_engine(
            settings.sqlalchemy_url,
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_pool_overflow,
            pool_pre_ping=True,
            pool_recycle=1800,
            # Errors end up in the log, and parameters hold what users wrote.
            hide_parameters=True,
            connect_args=_parameters(settings, "rekindle-api"),
        )
        if self._tokens is not None:
            event.listen(self._engine.sync_engine, "do_connect", self._sign_in)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @property
    def connections(self) -> int:
        """How many connections the pool opens at most."""
        return self._settings.database_pool_size + self._settings.database_pool_overflow

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction: committed when the block ends, rolled back when it raises."""
        async with self._sessions.begin() as session:
            yield session

    async def connect(self, name: str) -> psycopg.AsyncConnection[Any]:
        """Open a connection outside the pool, in autocommit mode: to listen, or to hold a lock of the process.

        Raises:
            psycopg.Error: the server refuses it, is not there, or is not the one that it should be.
        """
        parameters = _parameters(self._settings, name)
        if self._tokens is not None:
            parameters["password"] = await asyncio.to_thread(self._tokens)
        return await psycopg.AsyncConnection.connect(self._settings.libpq_url, autocommit=True, **parameters)

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self._engine.dispose()

    def _sign_in(self, _dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        if self._tokens is not None:
            # Credentials may have to be renewed over the network, which must not stop the event loop.
            parameters["password"] = await_only(asyncio.to_thread(self._tokens))


def migration_engine(settings: DatabaseSettings, tokens: TokenSource | None = None) -> Engine:
    """Return an engine without a pool and without an event loop, for migrations."""
    engine = create_engine(
        settings.sqlalchemy_url, poolclass=pool.NullPool, connect_args=_parameters(settings, "rekindle-api-migrate")
    )
    if (source := tokens or _tokens(settings)) is not None:

        @event.listens_for(engine, "do_connect")
        def _sign_in(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
            parameters["password"] = source()

    return engine


def _parameters(settings: DatabaseSettings, name: str) -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_SECONDS, "application_name": name, **settings.ssl_parameters}


def _tokens(settings: DatabaseSettings) -> TokenSource | None:
    return RdsTokens(settings) if settings.database_iam_auth else None


def database_of(request: Request) -> Database:
    """Return the application's database."""
    database: Database = request.app.state.database
    return database


@raises(DatabaseUnavailableError)
async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with database_of(request).transaction() as session:
        yield session


# The scope "function" ends the transaction before the response is sent: a failed commit is never reported as success.
DatabaseSession = Annotated[AsyncSession, Depends(_transaction, scope="function")]
