"""What Alembic runs: connect, take the lock that keeps two migrations apart, set timeouts, migrate, grant."""

import logging

from alembic import context
from sqlalchemy import Connection, text

from rekindle_api.database.connection import migration_engine
from rekindle_api.migrations.grants import grant_to
from rekindle_api.migrations.tables import METADATA

_log = logging.getLogger(__name__)
# Chosen once; every process that migrates this schema takes the same lock.
_LOCK_KEY = 0x52454B494E444C45


def _is_ahead() -> bool:
    """Tell whether the database has migrations that this version does not know."""
    found = context.get_context().get_current_revision()
    return found is not None and found > (context.script.get_current_head() or "")


def _migrate(connection: Connection) -> None:
    # Waiting for the other migration has no time limit; waiting for a table that a running query holds has.
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
    try:
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("SET statement_timeout = '60s'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
        if _is_ahead():
            # A newer version migrated and granted; its schema serves this one too, to which somebody rolled back.
            _log.warning("the database is newer than this version: nothing to migrate")
            return
        with context.begin_transaction():
            context.run_migrations()
        if (role := context.config.attributes["app_role"]) is not None:
            grant_to(connection, role)
            connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK_KEY})
        connection.commit()


_engine = migration_engine(context.config.attributes["settings"])
with _engine.connect() as _connection:
    _migrate(_connection)
_engine.dispose()
