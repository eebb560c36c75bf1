"""A web server that takes Supabase's webhooks, and the trigger that sends them."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.api.accounts.hooks import SECRET, Record, event, signed

if TYPE_CHECKING:
    from tests.api.conftest import Api, StartApi

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
