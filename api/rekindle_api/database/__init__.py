"""PostgreSQL: the base of every model, the connection pool, transactions and the migration runner. No domain enters."""

from rekindle_api.database.base import Base, new_id, one_of
from rekindle_api.database.connection import Database, DatabaseSession

__all__ = ["Base", "Database", "DatabaseSession", "new_id", "one_of"]
