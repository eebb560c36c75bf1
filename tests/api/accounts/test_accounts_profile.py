"""An account as its owner sees it, and how it comes over from Supabase."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from tests.api.accounts.hooks import account_row

if TYPE_CHECKING:
    from tests.api.accounts.conftest import Send, SignUp
    from tests.api.conftest import Account, Api, PhotoMaker, Soon, StartApi

    from rekindle_api.users.directory import SupabaseDirectory
    from rekindle_dev.issuer import TokenIssuer

pytestmark = pytest.mark.stack
ME, SYNC = "/api/v1/users/me", "/api/v1/users/sync"


async def test_the_first_call_brings_what_supabase_knows(joined: "Api", sign_up: "SignUp") -> None:
    newcomer = await sign_up(joined, full_name="Ada Lovelace", avatar_url="https://pictures.example/ada.jpg")

    profile = (await newcomer.http.get(ME)).json()

    assert profile["supabase_user_id"] == newcomer.id
    assert profile["email"] == newcomer.email
    assert profile["email_verified"] is True
    assert profile["full_name"] == "Ada Lovelace"
    assert profile["profile_image_url"] == "https://pictures.example/ada.jpg"
    assert profile["account_status"] == "active"
    assert profile["subscription_tier"] == "free"
    assert profile["total_credits"] == 3
    assert [profile[f"storage_{name}"] for name in ("limit_gb", "used_gb", "percentage")] == [1.0, 0.0, 0.0]
    [(actions,)] = joined.rows("SELECT count(*) FROM audit_logs WHERE action = 'account.created'")
    assert actions == 1


@pytest.mark.parametrize("trouble", ["silent", "wrong key", "not configured"])
async def test_without_supabases_word_the_first_call_works_too(
    start_api: "StartApi", project: "TokenIssuer", sign_up: "SignUp", trouble: str
) -> None:
    key = {"silent": project.secret_key, "wrong key": "sb_secret_of_another_project", "not configured": None}[trouble]
    api = await start_api(supabase_url=project.url, supabase_service_key=key, supabase_timeout_seconds=0.2)
    newcomer, known = await sign_up(api), await sign_up(api)
    assert (await known.http.get(ME)).status_code == 200
    if trouble == "silent":
        project.pause()
    try:
        profile = (await newcomer.http.get(ME)).json()
    finally:
        project.resume()

    assert (profile["email"], profile["full_name"]) == (newcomer.email, None)
    assert (profile["email_verified"], profile["total_credits"]) == (False, 0)


async def test_whoever_supabase_does_not_know_any_more_gets_no_account(
    joined: "Api", sign_up: "SignUp", admin: "SupabaseDirectory"
) -> None:
    newcomer = await sign_up(joined)
    await admin.delete(uuid.UUID(newcomer.id))

    replies = [await newcomer.http.get(ME), await newcomer.http.post(SYNC)]

    assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(403, "account_deleted")] * 2
    assert joined.rows("SELECT status, email FROM users") == [("deleted", None)]
    actions = [action for (action,) in joined.rows("SELECT action FROM audit_logs ORDER BY id")]
    assert actions == ["account.created", "account.deleted"]


async def test_a_sync_ends_an_account_that_supabase_does_not_know_any_more(
    joined: "Api", sign_up: "SignUp", admin: "SupabaseDirectory", photo_bytes: "PhotoMaker"
) -> None:
    newcomer = await sign_up(joined)
    files = {"file": ("file-upload-1.jpg", photo_bytes(), "image/jpeg")}
    assert (await newcomer.http.post("/api/v1/photos/upload", files=files)).status_code == 201
    await admin.delete(uuid.UUID(newcomer.id))

    reply = await newcomer.http.post(SYNC)

    assert (reply.status_code, reply.json()["code"]) == (403, "account_deleted")
    assert joined.rows("SELECT status, email FROM users") == [("deleted", None)]
    assert joined.rows("SELECT count(*) FROM photos WHERE deleted_at IS NULL") == [(0,)]


async def test_a_sync_ends_nothing_while_supabase_is_silent(
    start_api: "StartApi", sign_up: "SignUp", project: "TokenIssuer"
) -> None:
    key = project.secret_key
    api = await start_api(supabase_url=project.url, supabase_service_key=key, supabase_timeout_seconds=0.2)
    newcomer = await sign_up(api)
    assert (await newcomer.http.get(ME)).status_code == 200
    project.pause()
    try:
        reply = await newcomer.http.post(SYNC)
    finally:
        project.resume()

    assert (reply.status_code, reply.json()["account_status"]) == (200, "active")


async def test_a_sync_brings_what_was_lost(joined: "Api", sign_up: "SignUp", project: "TokenIssuer") -> None:
    newcomer = await sign_up(joined)
    first = await newcomer.http.post(SYNC)
    assert (first.status_code, first.json()["full_name"]) == (201, None)
    await _change(project, newcomer.id, email="new@example.com", user_metadata={"first_name": "Grace"})

    second = await newcomer.http.post(SYNC)

    assert second.status_code == 200
    assert (second.json()["email"], second.json()["full_name"]) == ("new@example.com", "Grace")
    assert second.headers["ratelimit"].startswith('"sync";r=3;')


async def test_replicas_count_syncs_together(start_api: "StartApi") -> None:
    one, other = await start_api(), await start_api()
    account = one.account()
    twin = other.account(account.id)

    replies = await asyncio.gather(*(caller.http.post(SYNC) for caller in (account, twin) for _ in range(5)))

    assert sorted(reply.status_code for reply in replies) == [200] * 4 + [201] + [429] * 5


async def test_names_changed_here_outlast_supabases(hooked: "Api", send: "Send") -> None:
    account = hooked.account()
    await send("INSERT", account_row(account.id))
    assert (await account.http.get(ME)).json()["full_name"] == "Ada Lovelace"

    changed = await account.http.put(ME, json={"last_name": "O'Neill-Smith", "profile_image_url": ""})
    await send("UPDATE", account_row(account.id, 1, raw_user_meta_data={"first_name": "X"}, email="new@example.com"))

    assert changed.json()["full_name"] == "Ada O'Neill-Smith"
    profile = (await account.http.get(ME)).json()
    assert (profile["full_name"], profile["email"]) == ("Ada O'Neill-Smith", "new@example.com")


async def test_no_name_is_written_onto_an_account_that_is_being_deleted(
    api: "Api", account: "Account", soon: "Soon"
) -> None:
    await account.http.get(ME)
    with psycopg.connect(api.database_url) as deletion:
        deletion.execute("UPDATE users SET status = 'deleted', deleted_at = now(), email = NULL")
        change = asyncio.create_task(account.http.put(ME, json={"first_name": "Ada"}))
        await soon(lambda: api.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

    reply = await change
    assert (reply.status_code, reply.json()["code"]) == (403, "account_deleted")
    assert api.rows("SELECT first_name, profile_changed_at FROM users") == [(None, None)]


@pytest.mark.parametrize(
    "body",
    [
        {"first_name": "R2D2"},
        {"last_name": "x" * 101},
        {"first_name": 7},
        {"profile_image_url": "http://x.example/a.jpg"},
        {"profile_image_url": "javascript:alert(1)"},
    ],
)
async def test_a_profile_that_is_none_is_refused(account: "Account", body: dict[str, Any]) -> None:
    reply = await account.http.put(ME, json=body)

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["location"] == f"body.{next(iter(body))}"


async def test_an_update_of_nothing_changes_nothing(api: "Api", account: "Account") -> None:
    assert (await account.http.put(ME, json={"email": "mine@example.com", "total_credits": 9})).status_code == 200
    assert api.rows("SELECT profile_changed_at FROM users") == [(None,)]
    assert api.rows("SELECT email FROM users") != [("mine@example.com",)]


async def test_the_profile_tells_how_much_is_stored(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(plans={"free": {"storage_bytes": 10_000_000}})
    account = api.account()
    await account.photo(photo_bytes((2000, 1500)))

    profile = (await account.http.get(ME)).json()

    [(size,)] = api.rows("SELECT size_bytes FROM photos")
    assert profile["storage_percentage"] == round(size / 100_000, 2)


async def _change(project: "TokenIssuer", user_id: str, **attributes: object) -> None:
    headers = {"apikey": project.secret_key, "Authorization": f"Bearer {project.secret_key}"}
    async with httpx.AsyncClient(timeout=60) as http:
        reply = await http.put(f"{project.url}/auth/v1/admin/users/{user_id}", json=attributes, headers=headers)
    assert reply.status_code == 200
