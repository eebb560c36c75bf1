"""The trigger for Supabase projects, on a real PostgreSQL: what it sends, signs, leaves out, and never breaks."""

import hashlib
import hmac
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.accounts.hooks import HASH, SECRET, TOKEN

if TYPE_CHECKING:
    from tests.api.conftest import Api

pytestmark = pytest.mark.stack
INSTALL = resources.files("rekindle_api.accounts") / "install_webhook.sql"

# What a Supabase project has of it: the table, the vault, and pg_net, which here keeps what it is given.
PROJECT = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY, email text, encrypted_password text, confirmation_token text, recovery_token text, phone text,
    email_confirmed_at timestamptz, last_sign_in_at timestamptz, raw_user_meta_data jsonb, raw_app_meta_data jsonb,
    banned_until timestamptz, deleted_at timestamptz, is_anonymous boolean NOT NULL DEFAULT false,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
);
CREATE SCHEMA vault;
CREATE TABLE vault.decrypted_secrets (name text, decrypted_secret text);
CREATE SCHEMA net;
CREATE TABLE net.requests (id bigint GENERATED ALWAYS AS IDENTITY, url text, headers jsonb, body bytea);
CREATE FUNCTION net.http_post(
    url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}',
    timeout_milliseconds int DEFAULT 5000
) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO net.requests (url, headers, body) VALUES (url, headers, convert_to(body::text, 'UTF8')) RETURNING id
$$;
CREATE ROLE {role};
GRANT USAGE ON SCHEMA auth TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.users TO {role};
"""
URL = "https://api.example.com/api/webhooks/supabase"
USER = "6c1d8a3e-0b52-4b0a-9a53-1f2f6f4a7b10"


class Project:
    """A Supabase project's database."""

    def __init__(self, connection: psycopg.Connection[Any], role: str) -> None:
        self.connection = connection
        self.role = role

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement with all rights."""
        cursor = self.connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def as_auth_server(self, statement: str, *values: object) -> None:
        """Run a statement with the few rights of the server that keeps accounts."""
        with self.connection.transaction():
            self.run(f"SET LOCAL ROLE {self.role}")
            self.run(statement, *values)

    def sign_up(self, email: str = "ada@example.com") -> None:
        """Make an account."""
        self.as_auth_server(
            "INSERT INTO auth.users (id, email, encrypted_password, confirmation_token, phone, raw_user_meta_data)"
            " VALUES (%s, %s, %s, %s, '+4930123456', %s)",
            USER, email, HASH, TOKEN, '{"full_name": "Ada Łovelace", "secret_note": "shh"}',
        )  # fmt: skip

    def sent(self) -> list[tuple[dict[str, str], bytes]]:
        """Return headers and bodies of what was queued."""
        return [
            (headers, bytes(body)) for headers, body in self.run("SELECT headers, body FROM net.requests ORDER BY id")
        ]


@pytest.fixture
def project(database_url: str) -> Iterator[Project]:
    """A project with the trigger."""
    role = f"auth_{hashlib.sha256(database_url.encode()).hexdigest()[:12]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        made = Project(connection, role)
        made.run(PROJECT.replace("{role}", role))
        made.run(INSTALL.read_text("utf-8"))
        for name, value in (("rekindle_webhook_url", URL), ("rekindle_webhook_secret", SECRET)):
            made.run("INSERT INTO vault.decrypted_secrets VALUES (%s, %s)", name, value)
        yield made
        made.run(f"DROP OWNED BY {role}")
        made.run(f"DROP ROLE {role}")


async def test_what_the_trigger_sends_is_what_the_service_takes(hooked: "Api", project: Project) -> None:
    project.sign_up()
    project.as_auth_server("UPDATE auth.users SET email = 'ada@new.example', updated_at = now() + interval '1 s'")
    project.as_auth_server("DELETE FROM auth.users")

    replies = [
        await hooked.http.post("/api/webhooks/supabase", content=body, headers=headers)
        for headers, body in project.sent()
    ]

    assert [(reply.status_code, reply.json()["action"]) for reply in replies] == [
        (200, "created"),
        (200, "updated"),
        (200, "deleted"),
    ]
    assert [url for (url,) in project.run("SELECT DISTINCT url FROM net.requests")] == [URL]
    assert hooked.rows("SELECT supabase_user_id::text, status, email FROM users") == [(USER, "deleted", None)]


def test_the_trigger_sends_listed_columns_only(project: Project) -> None:
    project.sign_up()
    project.as_auth_server("DELETE FROM auth.users")

    for _, body in project.sent():
        text = body.decode()
        assert USER in text
        for secret in (HASH, TOKEN, "+4930123456", "shh", "secret_note"):
            assert secret not in text
    assert "Ada Łovelace" in project.sent()[0][1].decode()


def test_a_sign_in_sends_nothing(project: Project) -> None:
    project.sign_up()
    before = len(project.sent())

    project.as_auth_server("UPDATE auth.users SET last_sign_in_at = now(), updated_at = now(), recovery_token = 'x'")

    assert len(project.sent()) == before == 1


@pytest.mark.parametrize(
    "change",
    [
        "email = 'x@example.com'",
        "email_confirmed_at = now()",
        "banned_until = now()",
        "deleted_at = now()",
        "is_anonymous = true",
        """raw_user_meta_data = '{"first_name": "Grace"}'""",
    ],
)
def test_a_change_of_each_watched_column_is_sent(project: Project, change: str) -> None:
    project.sign_up()

    project.as_auth_server(f"UPDATE auth.users SET {change}")  # noqa: S608 - the parameters above

    assert len(project.sent()) == 2


@pytest.mark.parametrize(
    "breakage",
    [
        "DROP SCHEMA net CASCADE",
        "DROP SCHEMA vault CASCADE",
        "DELETE FROM vault.decrypted_secrets",
        "DROP FUNCTION rekindle.hmac_sha256",
        "DROP TABLE net.requests",
    ],
)
def test_nothing_that_breaks_fails_a_sign_up(project: Project, breakage: str) -> None:
    warnings: list[str] = []
    project.connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
    project.run(breakage)

    project.sign_up()

    assert project.run("SELECT id::text FROM auth.users") == [(USER,)]
    assert any(text.startswith("rekindle: ") for text in warnings)
    assert not any("ada@example.com" in text or SECRET in text for text in warnings)


def test_it_is_installed_twice_as_well_as_once(project: Project) -> None:
    project.run(INSTALL.read_text("utf-8"))

    project.sign_up()

    assert len(project.sent()) == 1


def test_the_role_that_keeps_accounts_can_call_none_of_it(project: Project) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        project.as_auth_server("SELECT rekindle.hmac_sha256('a', 'b')")
    project.run("RESET ROLE")


# RFC 4231, cases 1 to 4, 6 and 7.
VECTORS = [
    ("0b" * 20, b"Hi There".hex(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe".hex(),
        b"what do ya want for nothing?".hex(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    ("aa" * 20, "dd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (
        "0102030405060708090a0b0c0d0e0f10111213141516171819",
        "cd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        "aa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First".hex(),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        "aa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.".hex(),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "message", "wanted"), VECTORS)
def test_the_hash_written_in_sql_is_that_of_the_standard(project: Project, key: str, message: str, wanted: str) -> None:
    assert _in_sql(project, bytes.fromhex(key), bytes.fromhex(message)).hex() == wanted


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.binary(min_size=1, max_size=130), message=st.binary(max_size=300))
def test_the_hash_written_in_sql_is_pythons(project: Project, key: bytes, message: bytes) -> None:
    assert _in_sql(project, key, message) == hmac.new(key, message, hashlib.sha256).digest()


def _in_sql(project: Project, key: bytes, message: bytes) -> bytes:
    [(digest,)] = project.run("SELECT rekindle.hmac_sha256(%s, %s)", message, key)
    return bytes(digest)
