"""The database schema: migrations and models agree, and the tables keep their promises."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command

from rekindle_api.migrations.runner import configuration, head, upgrade
from rekindle_api.settings import DatabaseSettings, read

pytestmark = pytest.mark.stack
SEED_TABLES = {"users", "photos", "jobs", "restore_attempts", "animation_attempts", "audit_logs", "outbox"}


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name for (name,) in rows}


def test_models_and_migrations_agree(migrated_url: str) -> None:
    command.check(configuration(read(DatabaseSettings, {"database_url": migrated_url})))


def test_migrations_run_back_and_forth_again(migrated_url: str) -> None:
    settings = read(DatabaseSettings, {"database_url": migrated_url})
    assert tables(migrated_url) >= SEED_TABLES

    command.downgrade(configuration(settings), "base")
    assert tables(migrated_url) == {"alembic_version"}

    upgrade(settings)
    assert tables(migrated_url) >= SEED_TABLES


def test_migrations_that_start_together_take_turns(database_url: str) -> None:
    settings = read(DatabaseSettings, {"database_url": database_url})

    with ThreadPoolExecutor(1) as pool:
        # Alembic's context is one per process, so the second one waits in another.
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(%s)", [0x52454B494E444C45])
            waiting = pool.submit(upgrade, settings)
            while not other.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone():
                assert not waiting.done()
            assert tables(database_url) == set()
        waiting.result(timeout=60)

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (head(settings),)


def test_a_version_that_was_rolled_back_leaves_the_newer_database_as_it_is(migrated_url: str) -> None:
    settings = read(DatabaseSettings, {"database_url": migrated_url})
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE of_the_next_version ()")
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    upgrade(settings, app_role="of_the_next_version_too")

    assert "of_the_next_version" in tables(migrated_url)
    with psycopg.connect(migrated_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"]
)
def test_the_audit_log_takes_additions_only(migrated_url: str, statement: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("INSERT INTO audit_logs (action) VALUES ('photo.uploaded')")

        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())


def test_no_state_outside_the_closed_sets_can_be_stored(migrated_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO users (id, supabase_user_id, status) VALUES (gen_random_uuid(), gen_random_uuid(), 'king')"
        )
