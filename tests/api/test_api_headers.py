"""Headers that protect, on every kind of reply; and bodies that are bounded on every route."""

import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rekindle_api.headers import SecurityHeadersMiddleware
from rekindle_api.limits import UPLOAD_PATH

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def assert_safe(reply: httpx.Response) -> None:
    found = {name: reply.headers.get(name) for name in SAFE}
    assert found == SAFE, f"{reply.request.method} {reply.request.url.path} {reply.status_code}"
    assert len(reply.headers.get_list("x-content-type-options")) == 1
    assert "server" not in reply.headers or "uvicorn" in reply.headers["server"]


@pytest.mark.stack
@pytest.mark.usefixtures("still_clock")
async def test_every_reply_has_them_whatever_became_of_the_request(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    path = f"/api/v1/photos/{photo_id}"
    tag = (await account.http.get(path)).headers["etag"]
    replies = [
        await api.http.get("/health"),
        await account.http.get(path),
        await account.http.get(path, headers={"If-None-Match": tag}),
        await account.http.get(f"/api/v1/photos/{uuid.uuid4()}"),
        await account.http.get("/nowhere"),
        await account.http.request("PATCH", path),
        await account.http.put(path, json={"metadata": 3}),
        await account.http.put(path, content=b"x" * 300_000),
        await api.http.get(path),
        await account.http.get("/openapi.json"),
    ]
    async with account.http.stream("GET", f"/api/v1/events/{photo_id}") as stream:
        assert_safe(stream)

    assert [reply.status_code for reply in replies] == [200, 200, 304, 404, 404, 405, 422, 413, 401, 200]
    for reply in replies:
        assert_safe(reply)
        assert reply.headers["x-request-id"]


@pytest.mark.parametrize("production", [True, False])
async def test_production_tells_browsers_to_stay_with_tls(production: bool) -> None:
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = SecurityHeadersMiddleware(Starlette(routes=[Route("/", hello)]), production=production)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://api.example") as http:
        reply = await http.get("/")

    assert ("strict-transport-security" in reply.headers) == production


@pytest.mark.stack
async def test_no_route_takes_an_endless_body(account: "Account") -> None:
    too_much = 300_000

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(too_much // 10_000):
            yield b"x" * 10_000

    paths = (await account.http.get("/openapi.json")).json()["paths"]
    for template, operations in paths.items():
        path = template
        for name in ("photo_id", "attempt_id", "identifier"):
            path = path.replace(f"{{{name}}}", str(uuid.uuid4()))
        for method in set(operations) & {"post", "put", "delete"}:
            if (method, template) == ("post", UPLOAD_PATH):
                continue
            headers = {"Content-Type": "application/json"}
            declared = await account.http.request(method, path, content=b"x" * too_much, headers=headers)
            assert (declared.status_code, declared.json()["code"]) == (413, "body_too_large"), (method, path)
            if "requestBody" in operations[method]:
                chunked = await account.http.request(method, path, content=endless(), headers=headers)
                assert chunked.status_code in {401, 413, 503}, (method, path, chunked.status_code)


@pytest.mark.stack
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_only_an_upload_itself_may_be_large_at_the_address_of_uploads(api: "Api", method: str) -> None:
    reply = await api.http.request(method, UPLOAD_PATH, content=b"x" * 300_000)

    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
