"""The way to the database: its server must prove who it is, and tokens can take the place of a password."""

import asyncio
import contextlib
import datetime as dt
import secrets
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.api.answering import answer, serving
from tests.loops import LoopThread

from rekindle_api.database import Database
from rekindle_api.database.connection import migration_engine
from rekindle_api.database.tokens import RdsTokens
from rekindle_api.settings import DatabaseSettings, read

if TYPE_CHECKING:
    from rekindle_dev.postgres import PostgreSQL

pytestmark = pytest.mark.stack
_SSL_REQUEST = (80877103).to_bytes(4)


class Authority:
    """Somebody who vouches for servers."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def vouch_for(self, host: str) -> ssl.SSLContext:
        """Return what a server of this name shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._sign(name, key, names)
        file = self._directory / f"{host}-{secrets.token_hex(4)}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: Any) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@dataclass
class TlsFront:
    """Speaks TLS before a server that was built without it, as a load balancer of PostgreSQL does."""

    server_port: int
    context: ssl.SSLContext
    port: int = 0
    encrypted: int = 0
    """How many connections asked for TLS, and went on after the handshake."""
    plain: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator["TlsFront"]:
        loop = LoopThread("TLS front")
        server = loop.do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            loop.call(server.close)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(8)
            if first[4:] == _SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self.context)
                self.encrypted += 1
                first = b""
            else:
                self.plain += 1
            behind, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
            with contextlib.closing(to_server):
                to_server.write(first)
                await asyncio.gather(_pipe(reader, to_server), _pipe(behind, writer))


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    finally:
        target.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that the database's certificate is of."""
    return Authority(tmp_path, "authority")


@pytest.fixture
def front(postgres: "PostgreSQL", authority: Authority) -> Iterator[TlsFront]:
    """TLS before the PostgreSQL server, under the name localhost."""
    with TlsFront(postgres.port, authority.vouch_for("localhost")).serving() as front:
        yield front


Settings = Callable[..., DatabaseSettings]


@pytest.fixture
def settings(front: TlsFront, database_url: str, authority: Authority) -> Settings:
    """Settings of a database behind TLS; keyword arguments change them."""

    def made(host: str = "localhost", **changes: Any) -> DatabaseSettings:
        credentials, name = database_url.rpartition("@")[0], database_url.rpartition("/")[2]
        url = f"{credentials}@{host}:{front.port}/{name}"
        return read(DatabaseSettings, {"database_url": url, "database_ssl_root_cert": str(authority.file), **changes})

    return made


async def answers(database: Database) -> bool:
    """Ask by the pool and by a connection of its own."""
    try:
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        async with await database.connect("test") as connection:
            await connection.execute("LISTEN anything")
    finally:
        await database.close()
    return True


async def test_a_server_with_the_right_certificate_is_spoken_to_in_private(settings: Settings, front: TlsFront) -> None:
    given = settings(environment="production")

    assert await answers(Database(given))
    with migration_engine(given).connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    assert (front.encrypted, front.plain) == (3, 0)


async def test_a_server_of_another_name_is_refused(settings: Settings) -> None:
    with pytest.raises(OperationalError, match="does not match host name"):
        await answers(Database(settings("127.0.0.1")))


async def test_a_server_that_another_authority_vouches_for_is_refused(settings: Settings, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    given = settings(database_ssl_root_cert=str(other.file))

    with pytest.raises(OperationalError, match="certificate verify failed"):
        await answers(Database(given))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        await Database(given).connect("test")
    with pytest.raises(OperationalError, match="certificate verify failed"):
        migration_engine(given).connect()


async def test_a_server_without_tls_is_refused(postgres: "PostgreSQL", settings: Settings) -> None:
    url = postgres.url.replace("127.0.0.1", "localhost")

    with pytest.raises(OperationalError, match="does not support SSL"):
        await answers(Database(settings(database_url=url)))


class Tokens:
    """Counts up; each token is good only when the server was told."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return f"token-{self.given}"


async def test_each_new_connection_signs_in_with_a_token_of_its_own(
    postgres: "PostgreSQL", settings: Settings, front: TlsFront
) -> None:
    role = f"iam_{secrets.token_hex(6)}"

    def accept(number: int) -> None:
        made = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(f"token-{number}"))
        with psycopg.connect(postgres.url, autocommit=True) as owner:
            owner.execute(made)

    with psycopg.connect(postgres.url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    url = f"postgresql://{role}@localhost:{front.port}/postgres"
    tokens = Tokens()
    given = settings(database_url=url, database_iam_auth=True, database_iam_region="eu-central-1")
    database = Database(given, tokens)

    accept(1)
    for _ in range(3):
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT current_user")) == role
    assert tokens.given == 1
    accept(2)
    async with await database.connect("test"):
        assert tokens.given == 2
    await database.close()
    accept(3)
    async with database.transaction() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed") as refused:
        await database.connect("test")
    assert "token-" not in str(refused.value)
    accept(5)
    with migration_engine(given, tokens).connect() as connection:
        assert connection.scalar(text("SELECT current_user")) == role
    await database.close()


@pytest.fixture
def of_rds() -> DatabaseSettings:
    """Settings of a database that takes tokens."""
    given = {
        "database_url": "postgresql://service@db.example:5433/rekindle",
        "database_iam_auth": True,
        "database_iam_region": "eu-west-1",
        "database_ssl_root_cert": "system",
    }
    return read(DatabaseSettings, given)


async def test_without_credentials_no_connection_is_opened(
    of_rds: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "no/such/file")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    database = Database(of_rds)

    with pytest.raises(OperationalError, match="no token to sign in with"):
        await answers(database)
    with pytest.raises(psycopg.OperationalError, match="no token to sign in with"):
        await database.connect("test")


class _RefusingSts(BaseHTTPRequestHandler):
    """AWS, when a role does not trust the service account any more."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer(
            self, 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
        )


@pytest.fixture
def refusing_sts() -> Iterator[str]:
    """The URL of a service that gives nobody credentials."""
    with serving(_RefusingSts) as url:
        yield url


async def test_credentials_that_aws_refuses_to_renew_open_no_connection(
    of_rds: DatabaseSettings, refusing_sts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "no/such/file")
    token = tmp_path / "token"
    token.write_text("of a service account")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/rekindle")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", refusing_sts)
    database = Database(of_rds)

    with pytest.raises(OperationalError, match=r"no token to sign in with.*AccessDenied"):
        await answers(database)
    with pytest.raises(psycopg.OperationalError, match=r"no token to sign in with.*AccessDenied"):
        await database.connect("test")


def test_a_token_is_signed_for_this_server_user_and_region(
    of_rds: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-in-a-token")
    token = RdsTokens(of_rds)()

    assert token.startswith("db.example:5433/?Action=connect&DBUser=service&")
    assert "eu-west-1%2Frds-db" in token
    assert "never-in-a-token" not in token
