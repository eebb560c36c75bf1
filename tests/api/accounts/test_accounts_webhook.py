"""Supabase's webhook: who may send it, what it does, and what is never seen of it again."""

import asyncio
import io
import json
import logging
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.api.accounts.hooks import BEGIN, HASH, SECRET, TOKEN, account_row, event, signed

from rekindle_api import logs

if TYPE_CHECKING:
    import httpx
    from tests.api.accounts.conftest import Send
    from tests.api.conftest import Api, PhotoMaker, StartApi

pytestmark = pytest.mark.stack
PATH = "/api/webhooks/supabase"
OTHER = "another webhook secret of more than 32 characters"
USERS = "SELECT supabase_user_id::text, status, email, first_name, last_name FROM users"


def answer(reply: "httpx.Response") -> tuple[int, str]:
    return reply.status_code, reply.json()["action"]


async def test_an_account_is_made_changed_and_deleted(hooked: "Api", send: "Send") -> None:
    row = account_row()

    created = await send("INSERT", row)

    assert answer(created) == (200, "created")
    [(our_id,)] = hooked.rows("SELECT id::text FROM users")
    assert created.json() == {"status": "success", "action": "created", "user_id": our_id}
    assert hooked.rows(USERS) == [(row["id"], "active", row["email"], "Ada", "Lovelace")]
    assert answer(await send("INSERT", row)) == (200, "skipped")
    assert answer(await send("UPDATE", account_row(row["id"], 1))) == (200, "no_changes")
    assert answer(await send("UPDATE", account_row(row["id"], 2, email="new@example.com"))) == (200, "updated")
    assert answer(await send("UPDATE", account_row(row["id"], 1, email="late@example.com"))) == (200, "skipped")
    assert hooked.rows("SELECT email FROM users") == [("new@example.com",)]
    assert answer(await send("DELETE", row)) == (200, "deleted")
    assert answer(await send("INSERT", account_row(row["id"], 9))) == (200, "skipped")
    assert hooked.rows(USERS) == [(row["id"], "deleted", None, None, None)]


async def test_a_late_creation_finds_the_tombstone(hooked: "Api", send: "Send") -> None:
    row = account_row()

    replies = [await send("DELETE", row), await send("INSERT", row), await send("UPDATE", account_row(row["id"], 5))]

    assert [answer(reply)[1] for reply in replies] == ["deleted", "skipped", "skipped"]
    reply = await hooked.account(row["id"]).http.get("/api/v1/photos")
    assert (reply.status_code, reply.json()["code"]) == (403, "account_deleted")


async def test_events_that_race_make_one_account(hooked: "Api", send: "Send") -> None:
    row = account_row()

    replies = await asyncio.gather(*(send("INSERT", account_row(row["id"], minute)) for minute in range(8)))

    assert {reply.status_code for reply in replies} == {200}
    assert sorted(answer(reply)[1] for reply in replies).count("created") == 1
    [(updated_at,)] = hooked.rows("SELECT supabase_updated_at FROM users")
    assert (updated_at - BEGIN).total_seconds() == 7 * 60


async def test_an_address_that_somebody_else_has_is_no_obstacle(hooked: "Api", send: "Send") -> None:
    for _ in range(2):
        assert answer(await send("INSERT", account_row(email="shared@example.com"))) == (200, "created")

    assert len(hooked.rows("SELECT id FROM users WHERE email = 'shared@example.com'")) == 2


async def test_a_verified_address_brings_the_free_credits_at_once(hooked: "Api", send: "Send") -> None:
    row = account_row(email_confirmed_at=None)
    await send("INSERT", row)
    assert hooked.rows("SELECT balance FROM credit_accounts") == []

    await send("UPDATE", account_row(row["id"], 1))

    assert hooked.rows("SELECT balance FROM credit_accounts") == [(3,)]


async def test_a_ban_keeps_out_at_once(hooked: "Api", send: "Send") -> None:
    account = hooked.account()
    assert (await account.http.get("/api/v1/photos")).status_code == 200

    await send("UPDATE", account_row(account.id, 1, banned_until="2999-01-01T00:00:00+00:00"))

    reply = await account.http.get("/api/v1/photos")
    assert (reply.status_code, reply.json()["code"]) == (403, "account_banned")


async def test_a_deleted_accounts_photos_are_hidden_and_its_work_is_cancelled(
    hooked: "Api", send: "Send", photo_bytes: "PhotoMaker"
) -> None:
    account = hooked.account()
    await send("INSERT", account_row(account.id))
    attempt = await account.restore(await account.photo(photo_bytes()))

    await send("DELETE", account_row(account.id))

    assert hooked.rows("SELECT count(*) FROM photos WHERE deleted_at IS NULL") == [(0,)]
    assert hooked.rows("SELECT status FROM restore_attempts WHERE id = %s", attempt) == [("cancelled",)]
    assert hooked.rows("SELECT held FROM credit_accounts") == [(0,)]
    [(details,)] = hooked.rows("SELECT details FROM audit_logs WHERE action = 'account.deleted'")
    assert details == {"wanted_by": "supabase"}


@pytest.mark.parametrize(
    "body",
    [
        {**event("INSERT", account_row()), "table": "sessions"},
        {**event("INSERT", account_row()), "schema": "public"},
        {**event("INSERT", account_row()), "type": "TRUNCATE"},
    ],
)
async def test_what_is_about_something_else_is_ignored(hooked: "Api", body: dict[str, object]) -> None:
    content = json.dumps(body).encode()

    reply = await hooked.http.post(PATH, content=content, headers=signed(content))

    assert answer(reply) == (200, "ignored")
    assert hooked.rows("SELECT id FROM users") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b"\xff",
        b"[" * 50_000,
        json.dumps(event("INSERT", {"id": "root", "encrypted_password": HASH})).encode(),
        json.dumps(event("DELETE", {})).encode(),
        json.dumps(event("UPDATE", account_row(updated_at=HASH))).encode(),
    ],
)
async def test_what_cannot_be_read_is_refused_without_being_quoted(hooked: "Api", body: bytes) -> None:
    reply = await hooked.http.post(PATH, content=body, headers=signed(body))

    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_webhook")
    assert HASH not in reply.text


async def test_a_body_that_is_too_large_is_refused(hooked: "Api") -> None:
    body = b" " * 300_000

    assert (await hooked.http.post(PATH, content=body, headers=signed(body))).status_code == 413


BODY = json.dumps(event("INSERT", account_row())).encode()
FORGED = {
    "nothing": {},
    "an empty secret": {"x-webhook-secret": ""},
    "another secret": {"x-webhook-secret": OTHER},
    "a beginning of the secret": {"x-webhook-secret": SECRET[:-1]},
    "another secret's signature": signed(BODY, OTHER),
    "another body's signature": signed(BODY + b" "),
    "an old signature": signed(BODY, at=1_700_000_000),
    "a signature from the future": signed(BODY, at=4_000_000_000),
    "a signature without its time": {"x-supabase-signature": signed(BODY)["x-supabase-signature"]},
    "a time that is none": {**signed(BODY), "x-supabase-timestamp": "\u00b2"},
    "another time": {**signed(BODY), "x-supabase-timestamp": signed(BODY, at=1_900_000_000)["x-supabase-timestamp"]},
    "no signature, but the secret": {"x-supabase-signature": "", "x-webhook-secret": SECRET},
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_webhook_that_is_not_supabases_is_refused(hooked: "Api", name: str) -> None:
    headers = {key.encode(): value.encode("latin-1") for key, value in FORGED[name].items()}

    reply = await hooked.http.post(PATH, content=BODY, headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (401, "invalid_webhook_signature")
    assert hooked.rows("SELECT id FROM users") == []


async def test_while_one_secret_replaces_the_other_both_are_good(start_api: "StartApi") -> None:
    api = await start_api(supabase_webhook_secrets=f"{SECRET}, {OTHER}", supabase_webhook_header="X-Hook")

    for secret in (SECRET, OTHER):
        for headers in ({"x-hook": secret}, signed(BODY, secret)):
            assert (await api.http.post(PATH, content=BODY, headers=headers)).status_code == 200
    assert (await api.http.post(PATH, content=BODY, headers={"x-webhook-secret": SECRET})).status_code == 401


async def test_without_a_secret_no_webhook_is_taken(api: "Api") -> None:
    reply = await api.http.post(PATH, content=BODY, headers={"x-webhook-secret": ""})

    assert (reply.status_code, reply.json()["code"]) == (503, "supabase_webhook_not_configured")


async def test_nothing_secret_of_a_record_is_logged_or_stored(hooked: "Api", send: "Send") -> None:
    written = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("DEBUG", written)
    try:
        row = account_row()
        await send("INSERT", row)
        await send("UPDATE", account_row(row["id"], 1, email="new@example.com"))
        await send("UPDATE", account_row(row["id"], 2, updated_at=HASH))
        await send("UPDATE", row, {"x-webhook-secret": "wrong"})
        await send("DELETE", row)
        await send("INSERT", account_row(str(uuid.uuid4())))
    finally:
        root.handlers[:], root.level = handlers, level

    tables = hooked.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    stored = " ".join(str(hooked.rows(f'SELECT t::text FROM "{name}" AS t')) for (name,) in tables)  # noqa: S608
    assert "webhook of Supabase" in written.getvalue()
    for secret in (HASH, TOKEN, "+4930123456", "new@example.com", SECRET):
        assert secret not in written.getvalue()
    for secret in (HASH, TOKEN, "+4930123456", SECRET):
        assert secret not in stored
