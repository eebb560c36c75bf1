"""The existing frontend's way to the API: a proxy that drops headers and queries, and parses every reply as JSON."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from tests.api.conftest import Account


class Frontend:
    """What the browser's calls become on their way: of the headers two arrive, and only GET keeps its query."""

    def __init__(self, account: "Account") -> None:
        self._http = account.http
        self.user_id = account.id

    async def get(self, path: str, **query: object) -> Any:
        """Return the JSON of a reply that must be a success; two-segment paths get a slash."""
        if path.removeprefix("/api/").count("/") == 1:
            path += "/"
        return self._parsed(await self._http.get(path, params={name: str(value) for name, value in query.items()}))

    async def post(self, path: str, body: object = None) -> Any:
        """Post JSON, or nothing: httpx sends no body for None."""
        return self._parsed(await self._http.post(path, json=body))

    async def put(self, path: str, body: object) -> Any:
        """Put JSON."""
        return self._parsed(await self._http.put(path, json=body))

    async def delete(self, path: str) -> Any:
        """Delete."""
        return self._parsed(await self._http.delete(path))

    async def upload(self, content: bytes) -> Any:
        """Upload as the frontend does: one part `file`, always called JPEG."""
        files = {"file": ("file-upload-1700000000000.jpg", content, "image/jpeg")}
        return self._parsed(await self._http.post("/api/v1/photos/upload", files=files))

    async def load(self, url: str) -> httpx.Response:
        """Return what a signed address holds; the browser sends no credential there."""
        async with httpx.AsyncClient(timeout=60) as browser:
            reply = await browser.get(url)
        assert reply.status_code == 200, reply.text
        return reply

    @staticmethod
    def _parsed(reply: httpx.Response) -> Any:
        assert reply.is_success, f"{reply.status_code}: {reply.text}"
        assert not reply.is_redirect
        return reply.json()


@pytest.fixture
def frontend(account: "Account") -> Frontend:
    """The frontend of a user who is signed in."""
    return Frontend(account)


Matches = Callable[[Any, Any], Any]


@pytest.fixture(scope="session")
def matches() -> Matches:
    """Check that a reply has the fields of a shape, each of its type; fields beyond them are welcome."""

    def check(reply: Any, shape: Any) -> Any:
        TypeAdapter(shape).validate_python(reply, strict=True)
        return reply

    return check
