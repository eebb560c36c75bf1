"""What Alembic runs: connect, take the lock that keeps two migrations apart, set timeouts, migrate, grant."""

from alembic import context
from sqlalchemy import Connection, text

from rekindle_api.database.connection import migration_engine
from rekindle_api.migrations.grants import grant_to
from rekindle_api.migrations.tables import METADATA

# Chosen once; every process that migrates this schema takes the same lock.
_LOCK_KEY = 0x52454B494E444C45


def _migrate(connection: Connection) -> None:
    # Waiting for the other migration has no time limit; waiting for a table that a running query holds has.
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
    try:
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("SET statement_timeout = '60s'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
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
