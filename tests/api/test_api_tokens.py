"""Who may call: good tokens, every kind of bad one, and an issuer that is down."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from rekindle_dev.issuer.tokens import SigningKey

if TYPE_CHECKING:
    from tests.api.conftest import Api, StartApi

pytestmark = pytest.mark.stack
PATH = "/api/v1/photos"


async def test_a_signed_up_user_is_known_from_the_first_call(api: "Api") -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    session = await asyncio.to_thread(api.issuer.sign_up, email, "correct horse battery")

    replies = await asyncio.gather(
        *(api.http.get(PATH, headers={"Authorization": f"Bearer {session.access_token}"}) for _ in range(8))
    )

    assert {reply.status_code for reply in replies} == {200}
    assert api.rows("SELECT supabase_user_id::text, email, status FROM users") == [(session.user_id, email, "active")]


async def test_a_token_whose_times_have_fractions_is_good(api: "Api") -> None:
    now = time.time()

    assert await _status(api, api.issuer.access_token(iat=now - 1.5, exp=now + 600.5)) == 200


async def test_a_request_without_a_token_is_told_to_bring_one(api: "Api") -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        reply = await api.http.get(PATH, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, "missing_token")
        assert reply.headers["www-authenticate"].startswith("Bearer")


CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": 1_000_000_000, "iat": 999_999_000},
    "without exp": {"exp": None},
    "without iat": {"iat": None},
    "without sub": {"sub": None},
    "without aud": {"aud": None},
    "without iss": {"iss": None},
    "another audience": {"aud": "somebody-else"},
    "another issuer": {"iss": "https://evil.example/auth/v1"},
    "a service key": {"role": "service_role"},
    "an old service key": {"iss": "supabase", "role": "service_role", "sub": None, "aud": None},
    "the public key of old": {"iss": "supabase", "role": "anon", "sub": None, "aud": None},
    "without role": {"role": None},
    "anonymous": {"is_anonymous": True},
    "a sub that is no id": {"sub": "root"},
    "not valid yet": {"nbf": 4_000_000_000},
}


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_token_with_wrong_claims_is_refused(api: "Api", name: str) -> None:
    await _refused(api, api.issuer.access_token(**CLAIMS[name]))


async def test_a_token_with_a_wrong_signature_is_refused(api: "Api") -> None:
    good = api.issuer.access_token()
    payload = jwt.decode(good, options={"verify_signature": False})
    key_id = jwt.get_unverified_header(good)["kid"]
    public = str(api.issuer.signing_key.public_jwk())
    head, body, _ = good.split(".")
    for bad in (
        jwt.encode(payload, "", algorithm="none", headers={"kid": key_id}),
        jwt.encode(payload, public.ljust(64), algorithm="HS256", headers={"kid": key_id}),
        api.issuer.access_token(key=SigningKey.new()),
        f"{head}.{body}.{'A' * 86}",
        f"{head}.{body}.",
        "not-a-token",
        "..",
    ):
        await _refused(api, bad)


async def test_a_forged_token_under_the_issuers_key_id_is_refused(api: "Api") -> None:
    key_id = jwt.get_unverified_header(api.issuer.access_token())["kid"]

    await _refused(api, api.issuer.access_token(key=SigningKey.new(), headers={"kid": key_id}))


async def test_a_new_key_of_the_issuer_is_found(start_api: "StartApi") -> None:
    api = await start_api(jwks_cooldown_seconds=0)
    old = api.issuer.access_token()
    assert await _status(api, old) == 200

    api.issuer.rotate_key()

    assert await _status(api, api.issuer.access_token()) == 200
    assert await _status(api, old) == 200


async def test_many_unknown_keys_cause_no_fetch_within_the_cooldown(api: "Api") -> None:
    assert await _status(api, api.issuer.access_token()) == 200
    api.issuer.pause()
    try:
        for _ in range(5):
            await _refused(api, api.issuer.access_token(key=SigningKey.new()))
    finally:
        api.issuer.resume()


async def test_an_issuer_that_is_down_is_a_503_until_it_is_back(start_api: "StartApi") -> None:
    api = await start_api(jwks_timeout_seconds=0.5)
    token = api.issuer.access_token()
    api.issuer.pause()
    try:
        replies = await asyncio.gather(
            *(api.http.get(PATH, headers={"Authorization": f"Bearer {token}"}) for _ in range(5)),
            api.http.get("/healthz"),
        )
        assert [reply.status_code for reply in replies] == [503] * 5 + [200]
        assert replies[0].json()["code"] == "keys_unavailable"
        assert replies[0].headers["retry-after"]
    finally:
        api.issuer.resume()

    async with asyncio.timeout(20):
        while True:
            if await _status(api, token) == 200:
                break


async def test_keys_that_were_fetched_outlive_an_issuer_that_is_down(api: "Api") -> None:
    token = api.issuer.access_token()
    assert await _status(api, token) == 200
    api.issuer.pause()
    try:
        assert await _status(api, token) == 200
    finally:
        api.issuer.resume()


async def test_an_issuer_without_usable_keys_is_a_503(start_api: "StartApi", unused_tcp_port: int) -> None:
    api = await start_api(supabase_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert await _status(api, api.issuer.access_token()) == 503


@pytest.mark.parametrize("keys", [b"[]", b"null", b'{"keys": []}', b'{"keys": 1}', b"<html>"])
async def test_an_answer_that_is_no_key_set_is_a_503(start_api: "StartApi", keys: bytes) -> None:
    async with serving(keys) as url:
        api = await start_api(supabase_url=url)

        assert await _status(api, api.issuer.access_token()) == 503


CLOSED = {
    "account_suspended": "UPDATE users SET status = 'suspended'",
    "account_deletion_requested": "UPDATE users SET status = 'deletion_requested', deletion_requested_at = now()",
    "account_deleted": "UPDATE users SET status = 'deleted', deleted_at = now()",
    "account_banned": "UPDATE users SET banned_until = now() + interval '1 hour'",
}


@pytest.mark.parametrize("code", CLOSED)
async def test_a_closed_account_is_refused_at_once(api: "Api", code: str) -> None:
    account = api.account()
    assert (await account.http.get(PATH)).status_code == 200
    api.rows(CLOSED[code])

    reply = await account.http.get(PATH)

    assert (reply.status_code, reply.json()["code"]) == (403, code)


async def test_a_ban_that_is_over_keeps_nobody_out(api: "Api") -> None:
    account = api.account()
    assert (await account.http.get(PATH)).status_code == 200
    api.rows("UPDATE users SET banned_until = now() - interval '1 second'")

    assert (await account.http.get(PATH)).status_code == 200


SECRET = "the-legacy-secret-of-the-project, long enough"


def legacy_token(api: "Api", secret: str = SECRET, **overrides: object) -> str:
    """Sign, with the shared secret, what the issuer would say of a new user."""
    payload = jwt.decode(api.issuer.access_token(), options={"verify_signature": False}) | overrides
    kept = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(kept, secret, "HS256")


async def test_a_project_with_a_legacy_secret_is_served_when_the_settings_say_so(start_api: "StartApi") -> None:
    api = await start_api(supabase_jwt_secret=SECRET, supabase_url="http://127.0.0.1:9")
    issuer = "http://127.0.0.1:9/auth/v1"

    assert await _status(api, legacy_token(api, iss=issuer)) == 200
    for bad in (
        legacy_token(api, "another secret that is long enough, too", iss=issuer),
        jwt.encode({"sub": str(uuid.uuid4())}, SECRET * 2, "HS512"),
        api.issuer.access_token(iss=issuer),
    ):
        await _refused(api, bad)


LEGACY_KEYS: dict[str, dict[str, Any]] = {
    "the anon key": {"iss": "supabase", "role": "anon", "sub": None, "aud": None, "email": None},
    "the service key": {"iss": "supabase", "role": "service_role", "sub": None, "aud": None, "email": None},
    "a service role under our issuer": {"role": "service_role"},
    "no role": {"role": None},
    "another audience": {"aud": "anon"},
    "no end": {"exp": None},
    "no subject": {"sub": None},
    "anonymous": {"is_anonymous": True},
}


@pytest.mark.parametrize("name", LEGACY_KEYS)
async def test_what_the_legacy_secret_signed_is_still_no_users_token(start_api: "StartApi", name: str) -> None:
    api = await start_api(supabase_jwt_secret=SECRET)

    await _refused(api, legacy_token(api, **LEGACY_KEYS[name]))


async def test_without_the_setting_no_shared_secret_is_good(api: "Api") -> None:
    await _refused(api, legacy_token(api))


async def test_a_project_that_signs_with_rsa_is_served(start_api: "StartApi") -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
    keys = json.dumps({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}).encode()
    async with serving(keys) as url:
        api = await start_api(supabase_url=url)
        payload = jwt.decode(api.issuer.access_token(), options={"verify_signature": False})
        token = jwt.encode(payload | {"iss": f"{url}/auth/v1"}, private, "RS256", headers={"kid": "one"})

        assert await _status(api, token) == 200


@asynccontextmanager
async def serving(content: bytes) -> AsyncIterator[str]:
    """Answer every request with `content`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
        writer.write(head + content)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _status(api: "Api", token: str) -> int:
    return (await api.http.get(PATH, headers={"Authorization": f"Bearer {token}"})).status_code


async def _refused(api: "Api", token: str) -> None:
    reply = await api.http.get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")
    assert "invalid_token" in reply.headers["www-authenticate"]
