"""Requests that carry an Idempotency-Key are answered once."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rekindle_api.idempotency.expiry import delete_expired

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack


@pytest.fixture
async def photo_id(account: "Account", photo_bytes: "PhotoMaker") -> str:
    return await account.photo(photo_bytes())


async def ask(account: "Account", photo_id: str, key: str, **params: Any) -> httpx.Response:
    return await account.http.post(
        f"/api/v1/photos/{photo_id}/restore", json={"params": params}, headers={"Idempotency-Key": key}
    )


async def test_the_same_request_is_answered_as_it_was(api: "Api", account: "Account", photo_id: str) -> None:
    first = await ask(account, photo_id, "a", denoise=0.5)
    await api.complete(first.json()["id"])

    again = await ask(account, photo_id, "a", denoise=0.5)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.rows("SELECT count(*) FROM restore_attempts") == [(1,)]


async def test_another_request_with_the_key_is_refused(account: "Account", photo_id: str) -> None:
    await ask(account, photo_id, "a", denoise=0.5)

    other = await ask(account, photo_id, "a", denoise=0.6)

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_keys_of_other_users_and_routes_are_others(
    api: "Api", account: "Account", photo_id: str, photo_bytes: "PhotoMaker"
) -> None:
    other = api.account()
    other_photo = await other.photo(photo_bytes())
    headers = {"Idempotency-Key": "a"}

    replies = [
        await ask(account, photo_id, "a"),
        await ask(other, other_photo, "a"),
        await account.http.post(f"/api/v1/jobs/{photo_id}/animate", json={}, headers=headers),
    ]

    assert [reply.status_code for reply in replies] == [202, 202, 202]
    assert len({reply.json()["id"] for reply in replies}) == 3


async def test_twins_that_meet_do_it_once(api: "Api", account: "Account", photo_id: str) -> None:
    replies = await asyncio.gather(*(ask(account, photo_id, "a") for _ in range(8)))

    codes = {reply.status_code for reply in replies}
    assert codes <= {202, 409}
    assert 202 in codes
    assert len({reply.json()["id"] for reply in replies if reply.status_code == 202}) == 1
    assert all(reply.headers["Retry-After"] == "1" for reply in replies if reply.status_code == 409)
    assert api.rows("SELECT count(*) FROM restore_attempts") == [(1,)]


async def test_a_lasting_refusal_is_answered_again_and_leaves_nothing_else(
    api: "Api", account: "Account", photo_id: str
) -> None:
    wish = {"restore": {"sourceResultId": str(uuid.uuid4())}}

    first, again = [await ask(account, photo_id, "a", **wish) for _ in range(2)]

    assert (first.status_code, first.json()["code"]) == (404, "source_result_not_found")
    assert first.headers["content-type"] == again.headers["content-type"] == "application/problem+json"
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.rows("SELECT count(*) FROM restore_attempts") == [(0,)]


async def test_a_refusal_for_want_of_credits_is_not_kept(api: "Api", photo_bytes: "PhotoMaker") -> None:
    account = api.account(credits_=0)
    photo_id = await account.photo(photo_bytes())
    assert (await ask(account, photo_id, "a")).status_code == 402
    rich = api.account(account.id)

    assert (await ask(rich, photo_id, "a")).status_code == 202


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(account: "Account", photo_id: str, key: str) -> None:
    reply = await account.http.post(
        f"/api/v1/photos/{photo_id}/restore",
        json={},
        headers={b"Idempotency-Key": key.encode("latin-1")},
    )

    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_idempotency_key")


async def test_a_retry_is_answered_once_too(api: "Api", account: "Account", photo_id: str) -> None:
    attempt_id = (await ask(account, photo_id, "a")).json()["id"]
    await account.http.post(f"/api/v1/processing/jobs/{attempt_id}/cancel")
    path, headers = f"/api/v1/processing/jobs/{attempt_id}/retry", {"Idempotency-Key": "b"}
    first = await account.http.post(path, headers=headers)
    await api.complete(first.json()["id"])

    again = await account.http.post(path, headers=headers)

    assert (again.status_code, again.json()) == (202, first.json())


async def test_an_answer_is_forgotten_after_its_time(api: "Api", account: "Account", photo_id: str) -> None:
    first = await ask(account, photo_id, "a", denoise=0.5)
    await ask(account, photo_id, "b", denoise=0.6)
    api.rows("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = 'a'")

    second = await ask(account, photo_id, "a", denoise=0.7)

    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]
    api.rows("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = 'b'")
    assert (await delete_expired(api.app.state.database)).answers == 1
    assert api.rows("SELECT key FROM idempotency_keys") == [("a",)]
