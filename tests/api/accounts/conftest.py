"""A Supabase project, and web servers that take its webhooks and ask about its accounts."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.api.accounts.hooks import SECRET, Record, event, signed

from rekindle_api.settings import SupabaseSettings, read
from rekindle_api.users.directory import SupabaseDirectory

if TYPE_CHECKING:
    from tests.api.conftest import Api, StartApi

    from rekindle_dev.issuer import Session, TokenIssuer

Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def hooked(start_api: "StartApi") -> "Api":
    """A web server that takes webhooks."""
    return await start_api(supabase_webhook_secrets=SECRET)


@pytest.fixture
def send(hooked: "Api") -> Send:
    """Send a webhook as the trigger does; keyword arguments replace the headers."""

    async def post(kind: str, record: Record, headers: dict[str, str] | None = None) -> httpx.Response:
        body = json.dumps(event(kind, record)).encode()
        sent = {"Content-Type": "application/json"} | (signed(body) if headers is None else headers)
        return await hooked.http.post("/api/webhooks/supabase", content=body, headers=sent)

    return post


class Newcomer:
    """A user who signed up with Supabase, as the service sees them."""

    def __init__(self, api: "Api", session: "Session", email: str) -> None:
        self.id = session.user_id
        self.email = email
        headers = {"Authorization": f"Bearer {session.access_token}"}
        self.http = httpx.AsyncClient(base_url=api.url, headers=headers, timeout=60)
        api.opened.append(self.http)


SignUp = Callable[..., Awaitable[Newcomer]]


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator["TokenIssuer"]:
    """A Supabase project of one's own, without accounts."""
    from rekindle_dev.issuer import TokenIssuer  # noqa: PLC0415 - only in the sessions that use it

    with TokenIssuer.start(tmp_path_factory.mktemp("project")) as issuer:
        yield issuer


@pytest.fixture
async def admin(project: "TokenIssuer") -> AsyncIterator[SupabaseDirectory]:
    """The way to the project's accounts; its pages are small, so that there are many."""
    settings = read(SupabaseSettings, {"supabase_page_size": 2, "supabase_timeout_seconds": 10})
    directory = SupabaseDirectory(f"{project.url}/auth/v1", project.secret_key, settings)
    yield directory
    await directory.close()


@pytest.fixture
async def joined(start_api: "StartApi", project: "TokenIssuer") -> "Api":
    """A web server that may ask the project about its accounts."""
    return await start_api(
        supabase_url=project.url,
        supabase_service_key=project.secret_key,
        supabase_timeout_seconds=20,
        supabase_webhook_secrets=SECRET,
    )


@pytest.fixture
def sign_up(project: "TokenIssuer") -> SignUp:
    """Sign somebody up with the project; keyword arguments are what they say of themselves."""

    async def make(api: "Api", **metadata: object) -> Newcomer:
        email = f"{uuid.uuid4().hex}@example.com"
        session = await asyncio.to_thread(project.sign_up, email, "correct horse battery", **metadata)
        return Newcomer(api, session, email)

    return make
