"""The web server as tests see it: started for each on a database of its own, and spoken to over TCP."""

import asyncio
import io
import json
import random
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from psycopg import sql
from tests.api.description import Described

from rekindle_api.application import WebSettings, create_app
from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.states import advance
from rekindle_api.attempts.transitions import Observation, ResultKeys
from rekindle_api.credits.service import adjust
from rekindle_api.migrations.runner import upgrade
from rekindle_api.server import Server
from rekindle_api.settings import DatabaseSettings, read

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from rekindle_dev.issuer import TokenIssuer
    from rekindle_dev.postgres import PostgreSQL
    from rekindle_dev.s3 import ObjectStore


@pytest.fixture(scope="session")
def service_role(postgres: "PostgreSQL") -> tuple[str, str]:
    """Name and password of the role that web servers sign in as."""
    name, password = f"service_{secrets.token_hex(6)}", secrets.token_hex(16)
    made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(made)
    return name, password


@pytest.fixture(scope="session")
def template_database(postgres: "PostgreSQL", service_role: tuple[str, str]) -> str:
    """The name of a database with every migration; others are copied from it."""
    name = f"template_{secrets.token_hex(6)}"
    upgrade(read(DatabaseSettings, {"database_url": postgres.create_database(name)}), app_role=service_role[0])
    return name


@pytest.fixture
def migrated_url(postgres: "PostgreSQL", template_database: str) -> Iterator[str]:
    """The URL of a fresh database with every migration."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template_database))
        )
    yield f"{postgres.url.rpartition('/')[0]}/{name}"
    postgres.drop_database(name)


@pytest.fixture
def service_url(migrated_url: str, service_role: tuple[str, str]) -> str:
    """The URL of that database for the role of the service, which has the privileges that it needs and no others."""
    return f"postgresql://{':'.join(service_role)}@{migrated_url.rpartition('@')[2]}"


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    name: str
    id: str | None
    data: dict[str, Any]


class Stream:
    """The events of a photo as its page gets them."""

    def __init__(self, reply: httpx.Response) -> None:
        self.reply = reply
        self._events = self._parse()

    async def next(self) -> Event:
        """Wait for the next event."""
        async with asyncio.timeout(60):
            return await anext(self._events)

    async def ended(self) -> bool:
        """Wait for something; tell whether it is the end."""
        async with asyncio.timeout(20):
            return await anext(self._events, None) is None

    async def _parse(self) -> AsyncIterator[Event]:
        fields: dict[str, str] = {}
        async for line in self.reply.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}


@dataclass(frozen=True)
class Account:
    """A user of the service, with a client that sends the token."""

    id: str
    token: str
    http: httpx.AsyncClient

    async def upload(self, content: bytes, name: str = "file-upload-1.jpg") -> httpx.Response:
        """Upload a photo as the frontend does: always named and typed as JPEG."""
        return await self.http.post("/api/v1/photos/upload", files={"file": (name, content, "image/jpeg")})

    async def photo(self, content: bytes) -> str:
        """Upload a photo that must be taken; return its id."""
        reply = await self.upload(content)
        assert reply.status_code in {200, 201}, reply.text
        return str(reply.json()["id"])

    async def restore(self, photo_id: str, **params: object) -> str:
        """Ask for a restoration that must be accepted; return the attempt's id."""
        body = {"model": "classic", "params": {"denoise": 0.7, "megapixels": 2, **params}}
        reply = await self.http.post(f"/api/v1/photos/{photo_id}/restore", json=body)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["id"])

    async def animate(self, photo_id: str, restore_id: str | None = None, **params: object) -> str:
        """Ask for an animation that must be accepted; return the attempt's id."""
        reply = await self.ask_for_animation(photo_id, {"restore_id": restore_id, "params": params})
        assert reply.status_code == 202, reply.text
        return str(reply.json()["id"])

    async def ask_for_animation(self, photo_id: str, body: dict[str, Any]) -> httpx.Response:
        """Ask for an animation that may be refused."""
        return await self.http.post(f"/api/v1/photos/{photo_id}/animate", json=body)

    @asynccontextmanager
    async def following(self, photo_id: str, **headers: str) -> AsyncIterator[Stream]:
        """Follow what happens to a photo."""
        async with self.http.stream("GET", f"/api/v1/events/{photo_id}", headers=headers) as reply:
            assert reply.status_code == 200
            yield Stream(reply)


PLENTY = 10_000
ABOUT_CREDITS = ("/restore", "/animate", "/retry", "/credits/balance", "/credits/calculate-cost")


@dataclass(frozen=True)
class Api:
    """A running web server with what stands behind it."""

    url: str
    app: FastAPI
    issuer: "TokenIssuer"
    s3: "S3Client"
    bucket: str
    database_url: str
    http: httpx.AsyncClient
    server: Server
    opened: list[httpx.AsyncClient]

    def account(self, user_id: str | None = None, *, credits_: int = PLENTY) -> Account:
        """Return a user who is new, or the one of this id; with credits before the first request that is about them."""
        user_id = user_id or str(uuid.uuid4())
        token = self.issuer.access_token(user_id)
        headers = {"Authorization": f"Bearer {token}"}

        filled = not credits_

        async def fill_the_purse(request: httpx.Request) -> None:
            nonlocal filled
            if not filled and request.url.path.endswith(ABOUT_CREDITS):
                filled = await self.grant(user_id, credits_, headers)

        http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=60,
            event_hooks={"request": [fill_the_purse], "response": self.http.event_hooks["response"]},
        )
        self.opened.append(http)
        return Account(user_id, token, http)

    async def grant(self, user_id: str, credits_: int, headers: dict[str, str]) -> bool:
        """Give a user credits that do not expire, once; whoever never called before does so now."""
        known = "SELECT id FROM users WHERE supabase_user_id = %s"
        if not self.rows(known, user_id):
            await self.http.get("/api/v1/credits/balance", headers=headers)
        found = self.rows(known, user_id)
        for (owner_id,) in found:
            async with self.app.state.database.transaction() as session:
                await adjust(session, owner_id, amount=credits_, reason="For tests", reference="tests")
        return bool(found)

    def keys(self) -> list[str]:
        """Return the keys of every object in the bucket."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def unfinished_uploads(self) -> int:
        """Count the multipart uploads in the bucket that nobody finished or dropped."""
        return len(self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []))

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def nothing_left(self) -> bool:
        """Tell whether there is no photo, no object and no part of one."""
        return not self.rows("SELECT id FROM photos") and not self.keys() and not self.unfinished_uploads()

    async def observe(self, attempt_id: str, table: type[Any] = RestoreAttempt, **seen: Any) -> None:
        """Do what the bridge does when it sees a resource."""
        async with self.app.state.database.transaction() as session:
            await advance(session, table, uuid.UUID(attempt_id), Observation(**seen))

    async def complete(self, attempt_id: str, content: bytes = b"restored") -> str:
        """Complete an attempt as a worker and the bridge do; return the key of its result."""
        [[prefix]] = self.rows("SELECT output_prefix FROM restore_attempts WHERE id = %s", attempt_id)
        key = f"{prefix}/pod/result.jpg"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        keys = ResultKeys(result=key, manifest=f"{prefix}/manifest.json")
        await self.observe(attempt_id, status=AttemptStatus.COMPLETED, keys=keys)
        return key

    async def complete_animation(self, attempt_id: str) -> ResultKeys:
        """Complete an animation as a worker and the bridge do; return where its outputs are."""
        [[prefix]] = self.rows("SELECT output_prefix FROM animation_attempts WHERE id = %s", attempt_id)
        made = {name: f"{prefix}/pod/{name}" for name in ("result.mp4", "preview.webp", "poster.jpg")}
        for name, key in made.items():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=name.encode())
        keys = ResultKeys(made["result.mp4"], f"{prefix}/manifest.json", made["preview.webp"], made["poster.jpg"])
        await self.observe(attempt_id, AnimationAttempt, status=AttemptStatus.COMPLETED, keys=keys)
        return keys


@pytest.fixture(scope="session")
def described() -> Described:
    """Hold replies to the API's description."""
    settings = {"database_url": "postgresql://u:p@h/d", "s3_bucket": "photos", "supabase_url": "http://issuer"}
    return Described(create_app(WebSettings.read(settings)).openapi())


StartApi = Callable[..., Awaitable[Api]]


@pytest.fixture
async def start_api(
    migrated_url: str,
    service_url: str,
    object_store: "ObjectStore",
    bucket: str,
    issuer: "TokenIssuer",
    described: Described,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[StartApi]:
    """Start a web server that is never too slow to count a request; keyword arguments are settings."""
    monkeypatch.setattr("rekindle_api.rates.dependencies._SECONDS", 60)
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    running: list[Api] = []
    servers: list[Any] = []

    async def start(**overrides: object) -> Api:
        given: dict[str, object] = {
            "database_url": service_url,
            "s3_bucket": bucket,
            "s3_endpoint_url": object_store.endpoint_url,
            "supabase_url": issuer.url,
            "jwks_timeout_seconds": 10,
            **overrides,
        }
        app = create_app(WebSettings.read(given))
        context = _serving(app)
        server, url = await context.__aenter__()
        http = httpx.AsyncClient(base_url=url, timeout=60, event_hooks={"response": [described]})
        servers.append(context)
        running.append(Api(url, app, issuer, object_store.client(), bucket, migrated_url, http, server, [http]))
        return running[-1]

    yield start
    for api in running:
        for client in api.opened:
            await client.aclose()
        api.s3.close()
    for context in servers:
        await context.__aexit__(None, None, None)


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[tuple[Server, str]]:
    server = Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=60))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                assert not task.done(), "the server did not start"
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no tag end by itself, as tags do every few minutes."""
    monkeypatch.setattr("rekindle_api.conditional.time", SimpleNamespace(time=lambda: 0.0))


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    """A web server with the settings that it has by default."""
    return await start_api()


@pytest.fixture
def account(api: Api) -> Account:
    """A new user."""
    return api.account()


PhotoMaker = Callable[..., bytes]


@pytest.fixture(scope="session")
def photo_bytes() -> PhotoMaker:
    """Make the bytes of a photo that no other has."""

    def make(
        size: tuple[int, int] = (64, 48), kind: str = "JPEG", mode: str = "RGB", seed: int | None = None, **options: Any
    ) -> bytes:
        noise = random.Random(seed if seed is not None else secrets.randbits(64))  # noqa: S311 - pixels
        small = Image.frombytes("RGB", (8, 8), noise.randbytes(192))
        target = io.BytesIO()
        small.resize(size, Image.Resampling.BICUBIC).convert(mode).save(target, kind, **options)
        return target.getvalue()

    return make


@pytest.fixture(scope="session")
def large_photo() -> bytes:
    """A PNG of more than 11 MB, which goes to S3 in parts."""
    noise = random.Random(7).randbytes(2000 * 1900 * 3)  # noqa: S311 - pixels
    target = io.BytesIO()
    Image.frombytes("RGB", (2000, 1900), noise).save(target, "PNG", compress_level=0)
    return target.getvalue()


class Soon:
    """Waits, without blocking the server that runs in the same loop, until a check answers something true."""

    async def __call__(self, check: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Poll `check`; the test fails after `seconds`."""
        async with asyncio.timeout(seconds):
            while True:
                if answer := check():
                    return answer
                await asyncio.sleep(0.02)


@pytest.fixture
def soon() -> Soon:
    """Poll a check until it is true."""
    return Soon()
