"""The role of the running service: it can do all the service does, and nothing to what must not change."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from rekindle_api.cli import main
from rekindle_api.migrations.grants import GRANTS, UndeclaredTableError, UnfitRoleError
from rekindle_api.migrations.runner import upgrade
from rekindle_api.migrations.tables import METADATA
from rekindle_api.settings import DatabaseSettings, read

if TYPE_CHECKING:
    from tests.api.conftest import PhotoMaker, StartApi

    from rekindle_dev.postgres import PostgreSQL

pytestmark = pytest.mark.stack


@pytest.fixture
def role(postgres: "PostgreSQL") -> Iterator[str]:
    """A plain role with the password `secret-<its name>`."""
    name = f"app_{secrets.token_hex(6)}"
    make = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(f"secret-{name}"))
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(make)
        yield name


@pytest.fixture
def role_url(migrated_url: str, role: str) -> str:
    """The URL of a migrated database for the role, which was granted what is declared."""
    upgrade(read(DatabaseSettings, {"database_url": migrated_url}), app_role=role)
    return f"postgresql://{role}:secret-{role}@{migrated_url.rpartition('@')[2]}"


def refused(url: str, statement: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            return "append-only" not in str(error)
    return False


def test_every_table_says_what_the_service_may_do_with_it() -> None:
    assert set(GRANTS) == set(METADATA.tables) | {"alembic_version"}


@pytest.mark.parametrize("table", ["audit_logs", "credit_entries"])
@pytest.mark.parametrize("act", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_was_written_down_stays_as_it_is(role_url: str, table: str, act: str) -> None:
    assert refused(role_url, act.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_accounts SET balance = 1000",
        "INSERT INTO credit_accounts (user_id, balance) VALUES (gen_random_uuid(), 1000)",
        "DELETE FROM credit_accounts",
        "UPDATE credit_lots SET granted = 1000",
        "DELETE FROM credit_lots",
        "DELETE FROM free_credit_claims",
        "DELETE FROM users",
        "DELETE FROM payments",
        "UPDATE alembic_version SET version_num = '0000'",
        "TRUNCATE photos CASCADE",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL",
        "ALTER TABLE users ADD COLUMN more text",
        "DROP TRIGGER append_only ON credit_entries",
        "DROP TABLE rate_limits",
        "DROP FUNCTION add_credit_entry() CASCADE",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE OR REPLACE FUNCTION add_credit_entry() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
        "SELECT pg_read_file('/etc/hostname')",
        "COPY users TO PROGRAM 'cat'",
    ],
)
def test_the_database_itself_refuses_what_the_service_never_does(role_url: str, statement: str) -> None:
    assert refused(role_url, statement)


def test_an_entry_changes_the_balance_that_the_role_cannot_write(role_url: str) -> None:
    with psycopg.connect(role_url) as connection:
        user = "00000000-0000-4000-8000-000000000001"
        connection.execute("INSERT INTO users (id, supabase_user_id) VALUES (%s, %s)", [user, user])
        connection.execute("INSERT INTO credit_accounts (user_id) VALUES (%s)", [user])
        connection.execute(
            "INSERT INTO credit_lots (id, user_id, source, source_reference, granted, remaining)"
            " VALUES (%s, %s, 'free', 'x', 3, 3)",
            [user, user],
        )
        connection.execute(
            "INSERT INTO credit_entries (user_id, lot_id, kind, amount, reference, description)"
            " VALUES (%s, %s, 'granted', 3, 'x', 'x')",
            [user, user],
        )
        connection.commit()
        assert connection.execute("SELECT balance FROM credit_accounts").fetchone() == (3,)


async def test_a_photo_travels_through_the_service_under_that_role(
    start_api: "StartApi", role_url: str, photo_bytes: "PhotoMaker"
) -> None:
    api = await start_api(database_url=role_url)
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    restored = await account.restore(photo_id)
    await api.complete(restored)
    await api.complete_animation(await account.animate(photo_id, restored))

    assert (await account.http.put(f"/api/v1/photos/{photo_id}", json={"metadata": {"a": 1}})).status_code == 200
    assert (await account.http.delete(f"/api/v1/jobs/{photo_id}/restore/{restored}")).status_code == 200
    assert (await account.http.get("/readyz")).status_code == 200
    assert (await account.http.delete(f"/api/v1/photos/{photo_id}")).status_code == 200


def test_granting_again_takes_back_what_was_given_by_hand(migrated_url: str, role: str, role_url: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as owner:
        owner.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(role)))
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")

    upgrade(read(DatabaseSettings, {"database_url": migrated_url}), app_role=role)

    assert refused(role_url, "DELETE FROM users")
    assert refused(role_url, "CREATE TABLE mine (id int)")


def test_a_plain_owner_can_migrate_and_grant(postgres: "PostgreSQL", database_url: str, role: str) -> None:
    owner, name = f"owner_{secrets.token_hex(6)}", database_url.rpartition("/")[2]
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(owner), sql.Literal("secret-owner"))
        admin.execute(made)
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(owner)))
    place = database_url.rpartition("@")[2]
    try:
        for _ in range(2):
            given = {"database_url": f"postgresql://{owner}:secret-owner@{place}"}
            upgrade(read(DatabaseSettings, given), app_role=role)

        url = f"postgresql://{role}:secret-{role}@{place}"
        with psycopg.connect(url) as service:
            assert service.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert refused(url, "DELETE FROM audit_logs")
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO postgres").format(sql.Identifier(name)))


def test_a_table_that_nobody_declared_stops_the_migration(migrated_url: str, role: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE forgotten (id int)")

    with pytest.raises(UndeclaredTableError, match="forgotten"):
        upgrade(read(DatabaseSettings, {"database_url": migrated_url}), app_role=role)


@pytest.mark.parametrize(
    ("attributes", "reason"), [("SUPERUSER", "become, the owner"), ("CREATEROLE", "plain"), ("BYPASSRLS", "plain")]
)
def test_a_role_that_no_grant_binds_is_refused(migrated_url: str, role: str, attributes: str, reason: str) -> None:
    with psycopg.connect(migrated_url, autocommit=True) as owner:
        owner.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role), sql.SQL(attributes)))

    with pytest.raises(UnfitRoleError, match=reason):
        upgrade(read(DatabaseSettings, {"database_url": migrated_url}), app_role=role)


def test_the_command_says_when_there_is_no_such_role(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("DATABASE_URL", migrated_url)
    monkeypatch.setenv("DATABASE_APP_ROLE", "nobody_at_all")

    assert main(["migrate"]) == 2
    assert "there is no role nobody_at_all" in capsys.readouterr().err
