"""What the role of the running service may do with each table; the owner of the tables grants it after each migration.

A table that is not declared here fails the migration. Foreign keys cascade, and triggers that change other rows run,
with the rights of the owner.
"""

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import Connection, text

_KEEP = ("SELECT", "INSERT", "UPDATE")
_ALL = (*_KEEP, "DELETE")
_APPEND = ("SELECT", "INSERT")

GRANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "alembic_version": ("SELECT",),
        "animation_attempts": _ALL,
        "audit_logs": _APPEND,
        "checkouts": _KEEP,
        # The balance is the sum of the entries, kept by a trigger with the rights of the owner.
        "credit_accounts": ("SELECT", "INSERT (user_id)", "UPDATE (held, debt, updated_at)"),
        "credit_entries": _APPEND,
        "credit_hold_parts": _APPEND,
        "credit_holds": ("SELECT", "INSERT", "UPDATE (state, credits, resolved_at)"),
        "credit_lots": ("SELECT", "INSERT", "UPDATE (remaining, held, expires_at, updated_at)"),
        "free_credit_claims": _APPEND,
        "idempotency_keys": _ALL,
        "jobs": _KEEP,
        "outbox": _ALL,
        "payments": _KEEP,
        "photos": _ALL,
        "rate_limits": _ALL,
        "restore_attempts": _ALL,
        "subscriptions": _KEEP,
        "users": _KEEP,
        "webhook_events": _ALL,
    }
)
"""Privileges by table."""


class UnfitRoleError(Exception):
    """The role that is to run the service does not exist, or no grant could bind it; the text says what to do."""


class UndeclaredTableError(Exception):
    """The database holds tables of which nobody said what the service may do with them."""


def grant_to(connection: Connection, role: str) -> None:
    """Give `role` what is declared and take everything else from it, in the transaction of `connection`.

    Raises:
        UnfitRoleError: there is no such role, or it is bound by no grant.
        UndeclaredTableError: a table is not declared.
    """
    _check(connection, role)
    tables = set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))
    if undeclared := tables - set(GRANTS):
        raise UndeclaredTableError(f"declare in migrations/grants.py: {', '.join(sorted(undeclared))}")
    quote = connection.dialect.identifier_preparer.quote_identifier
    who = quote(role)
    database = quote(connection.scalar(text("SELECT current_database()")) or "")
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM {who}, PUBLIC",
        f"REVOKE ALL ON SCHEMA public FROM {who}, PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {who}, PUBLIC",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {who}, PUBLIC",
        f"REVOKE ALL ON ALL ROUTINES IN SCHEMA public FROM {who}, PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {who}",
        f"GRANT USAGE ON SCHEMA public TO {who}",
        *(f"GRANT {', '.join(GRANTS[table])} ON public.{quote(table)} TO {who}" for table in sorted(tables)),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)


def _check(connection: Connection, role: str) -> None:
    found = connection.execute(
        text(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls,"
            " pg_has_role(rolname, current_user, 'MEMBER')"
            " FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    ).one_or_none()
    if found is None:
        raise UnfitRoleError(f"DATABASE_APP_ROLE: there is no role {role}; make it with CREATE ROLE ... LOGIN first")
    powerful, owner = found
    if owner:
        raise UnfitRoleError(f"DATABASE_APP_ROLE: {role} is, or can become, the owner of the tables; take another role")
    if powerful:
        raise UnfitRoleError(f"DATABASE_APP_ROLE: {role} may do what no grant can forbid; make it a plain LOGIN role")
