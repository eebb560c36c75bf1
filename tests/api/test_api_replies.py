"""What holds for every reply: errors in one form, request ids, health, and logs that tell no secrets."""

import io
import json
import logging
import socket
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rekindle_api.logs import configure
from rekindle_api.photos.service import PhotoService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.conftest import Account, Api, PhotoMaker, StartApi

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("PATCH", "/api/v1/photos", 405, "method_not_allowed"),
        ("GET", "/api/v1/photos/not-an-id", 422, "invalid_request"),
        ("GET", "/api/v1/photos?limit=200", 422, "invalid_request"),
    ],
)
async def test_every_error_is_a_problem_with_a_text_and_a_code(
    account: "Account", method: str, path: str, status: int, code: str
) -> None:
    reply = await account.http.request(method, path)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert isinstance(problem["detail"], str)
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert ("errors" in problem) == (status == 422)


@pytest.mark.parametrize("body", ["", "{", "[]", '{"metadata": 3}', "\x00", "[" * 50_000])
async def test_a_body_that_is_no_good_json_is_refused_as_such(
    account: "Account", photo_bytes: "PhotoMaker", body: str
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await account.http.put(
        f"/api/v1/photos/{photo_id}", content=body, headers={"Content-Type": "application/json"}
    )

    assert reply.status_code in {400, 422}
    assert reply.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_too_large_is_a_413(account: "Account", photo_bytes: "PhotoMaker") -> None:
    photo_id = await account.photo(photo_bytes())
    content = json.dumps({"metadata": {"note": "x" * 400_000}}).encode()

    async def without_length() -> "AsyncIterator[bytes]":
        yield content

    for body in (content, without_length()):
        reply = await account.http.put(
            f"/api/v1/photos/{photo_id}", content=body, headers={"Content-Type": "application/json"}
        )
        assert (reply.status_code, reply.headers["content-type"]) == (413, "application/problem+json")


async def test_a_bug_is_a_500_that_names_the_request_and_nothing_else(
    account: "Account", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret inner life of the service")

    monkeypatch.setattr(PhotoService, "get", broken)

    reply = await account.http.get(
        "/api/v1/photos/0e9d1d0a-3a7a-4d0f-8e0c-2f8a4c3b1a00", headers={"X-Request-ID": "my-request-1"}
    )

    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "internal_error"
    assert reply.json()["request_id"] == "my-request-1"
    assert "secret" not in reply.text
    assert any(record.exc_info for record in caplog.records)


async def test_a_request_id_of_the_caller_is_kept_only_when_it_is_harmless(api: "Api") -> None:
    kept = await api.http.get("/health", headers={"X-Request-ID": "abcdef-123456"})
    replaced = await api.http.get("/health", headers={"X-Request-ID": 'x" onload="'})

    assert kept.headers["x-request-id"] == "abcdef-123456"
    assert len(replaced.headers["x-request-id"]) == 32
    assert kept.headers["x-content-type-options"] == "nosniff"


async def test_health_says_what_runs_and_readiness_whether_it_can_work(api: "Api") -> None:
    for path in ("/health", "/"):
        health = (await api.http.get(path)).json()
        assert set(health) == {"status", "environment", "version"}
        assert health["environment"] == "development"
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "storage": "ok"})
    assert (await api.http.get("/healthz")).status_code == 200


async def test_a_service_without_storage_or_migrations_lives_and_is_not_ready(
    start_api: "StartApi", database_url: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        api = await start_api(database_url=database_url, s3_endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        ready = await api.http.get("/readyz")

        assert ready.status_code == 503
        assert ready.json() == {"status": "not ready", "checks": {"database": "failed", "storage": "failed"}}
        assert (await api.http.get("/healthz")).status_code == 200


async def test_a_database_that_is_down_is_a_503(start_api: "StartApi") -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        api = await start_api(database_url=f"postgresql://u:p@127.0.0.1:{closed.getsockname()[1]}/d")

        reply = await api.account().http.get("/api/v1/photos")

        assert (reply.status_code, reply.json()["code"]) == (503, "database_unavailable")


async def test_the_log_has_one_json_line_per_request_and_no_secrets(
    api: "Api", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    configure("INFO", stream)
    account = api.account()
    reply = await account.upload(photo_bytes(), "grandmother-in-leeds.jpg")
    await account.http.get("/api/v1/photos?note=private")
    root.setLevel(level)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    requests = [line for line in lines if line["logger"] == "rekindle_api.request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("POST", "/api/v1/photos/upload", 201),
        ("GET", "/api/v1/photos", 200),
    ]
    assert requests[0]["request_id"] == reply.headers["x-request-id"]
    for secret in (account.token, f"{account.id}@example.com", "grandmother", "X-Amz", "private"):
        assert secret not in stream.getvalue()


async def test_an_error_of_the_database_does_not_tell_what_users_wrote(api: "Api") -> None:
    with pytest.raises(DBAPIError) as failed:
        async with api.app.state.database.transaction() as session:
            await session.execute(text("SELECT cast(:mail AS text), 1 / 0"), {"mail": "someone@example.com"})

    assert "someone" not in str(failed.value)


async def test_the_schema_describes_every_route(api: "Api") -> None:
    paths = (await api.http.get("/openapi.json")).json()["paths"]

    assert "multipart/form-data" in paths["/api/v1/photos/upload"]["post"]["requestBody"]["content"]
    assert {"/api/v1/photos", "/api/v1/jobs/{photo_id}", "/api/v1/events/{photo_id}", "/health"} <= set(paths)
