"""Accounts that come, go and are cleared up, with the process killed at each place."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.api.accounts.hooks import SECRET, account_row, event, signed
from tests.api.conftest import Account
from tests.api.fault_points import ACCOUNT_RECORD, FAREWELL, LEAVING, SWEPT_FORM, around

from rekindle_api.credits.service import check
from rekindle_api.faults import Commit

if TYPE_CHECKING:
    from tests.api.conftest import Api, PhotoMaker, StartApi
    from tests.api.faults.conftest import Mortals

    from rekindle_dev.issuer import TokenIssuer

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator["TokenIssuer"]:
    """A Supabase project of one's own."""
    from rekindle_dev.issuer import TokenIssuer  # noqa: PLC0415 - only in the sessions that use it

    with TokenIssuer.start(tmp_path_factory.mktemp("project")) as issuer:
        yield issuer


@pytest.fixture
async def api(start_api: "StartApi", project: "TokenIssuer") -> "Api":
    """A web server that takes the project's webhooks."""
    return await start_api(
        supabase_url=project.url, supabase_service_key=project.secret_key, supabase_webhook_secrets=SECRET
    )


@pytest.fixture
def member(api: "Api", project: "TokenIssuer") -> Account:
    """Somebody who signed up with the project."""
    session = project.sign_up("ann@example.com", "a password of hers")
    headers = {"Authorization": f"Bearer {session.access_token}"}
    http = httpx.AsyncClient(base_url=api.url, headers=headers, timeout=60)
    api.opened.append(http)
    return Account(session.user_id, session.access_token, http)


def posted(record: dict[str, Any]) -> dict[str, Any]:
    """Return the request that Supabase's trigger makes for a new account."""
    body = json.dumps(event("INSERT", record)).encode()
    return {"content": body, "headers": {"Content-Type": "application/json"} | signed(body)}


@pytest.mark.parametrize("point", ACCOUNT_RECORD)
async def test_a_new_account_that_is_told_again_is_one_with_free_credits_once(
    api: "Api", mortals: "Mortals", member: Account, point: str
) -> None:
    record = account_row(member.id)
    async with (
        mortals.server(point, SUPABASE_WEBHOOK_SECRETS=SECRET) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        with pytest.raises(httpx.TransportError):
            await http.post("/api/webhooks/supabase", **posted(record))

    assert (await api.http.post("/api/webhooks/supabase", **posted(record))).status_code == 200
    balance = await member.http.get("/api/v1/credits/balance")

    assert balance.json()["totalCredits"] == 3
    assert api.rows("SELECT count(*) FROM users") == [(1,)]
    assert api.rows("SELECT kind, amount FROM credit_entries") == [("granted", 3)]


@pytest.mark.parametrize("point", LEAVING)
async def test_a_deletion_that_is_asked_for_again_begins_once(
    api: "Api", mortals: "Mortals", member: Account, photo_bytes: "PhotoMaker", point: str
) -> None:
    await member.photo(photo_bytes())

    assert await mortals.dying(point, member, "DELETE", "/api/v1/users/me") is None

    again = await member.http.delete("/api/v1/users/me")
    assert again.status_code == 200 or again.json()["code"] == "account_deletion_requested"
    assert api.rows("SELECT status FROM users") == [("deletion_requested",)]
    assert api.rows("SELECT count(*) FROM audit_logs WHERE action = 'account.deletion_requested'") == [(1,)]


@pytest.mark.parametrize("point", FAREWELL)
async def test_an_account_whose_end_was_begun_leaves_nothing_behind(
    api: "Api",
    mortals: "Mortals",
    project: "TokenIssuer",
    member: Account,
    photo_bytes: "PhotoMaker",
    point: str,
) -> None:
    settings = {"SUPABASE_SERVICE_KEY": project.secret_key, "DELETION_GRACE_DAYS": "0", "SUPABASE_MISSING_SHARE": "1"}
    await member.photo(photo_bytes())
    assert (await member.http.delete("/api/v1/users/me")).status_code == 200

    async def sweep(doom: str | None = None) -> None:
        await mortals.sweep(doom, **settings)
        # Uploads that were under way when the account ended have an hour to end.
        api.rows("UPDATE users SET deleted_at = deleted_at - interval '2 hours'")

    if point in around(Commit.ACCOUNT_PURGED):
        await sweep()
    await sweep(point)
    for _ in range(3):
        await sweep()

    [(status, email, purged)] = api.rows("SELECT status, email, purged_at IS NOT NULL FROM users")
    assert (status, email, purged) == ("deleted", None, True)
    assert api.nothing_left()
    for action in ("account.deleted", "account.purged"):
        assert api.rows("SELECT count(*) FROM audit_logs WHERE action = %s", action) == [(1,)]
    headers = {"apikey": project.secret_key, "Authorization": f"Bearer {project.secret_key}"}
    gone = await api.http.get(f"{project.url}/auth/v1/admin/users/{member.id}", headers=headers)
    assert gone.status_code == 404
    async with api.app.state.database.transaction() as session:
        assert await check(session) == []


@pytest.mark.parametrize("point", SWEPT_FORM)
async def test_what_came_by_a_form_goes_with_the_next_sweep(
    api: "Api", mortals: "Mortals", member: Account, photo_bytes: "PhotoMaker", point: str
) -> None:
    said = {"filename": "a.jpg", "content_type": "image/jpeg"}
    form = (await member.http.post("/api/v1/photos/presigned-upload", json=said)).json()
    async with httpx.AsyncClient(timeout=60) as browser:
        again = {"data": form["fields"], "files": {"file": ("photo", photo_bytes())}}
        await browser.post(form["url"], **again)
        assert (await member.http.post(f"/api/v1/photos/{form['photo_id']}/complete")).is_success
        await browser.post(form["url"], **again)
    api.rows("UPDATE photos SET created_at = created_at - interval '1 day'")
    assert {form["key"]} < set(api.keys())

    await mortals.sweep(point)
    assert await mortals.sweep() == 0

    [kept] = api.rows("SELECT original_key, thumbnail_key FROM photos WHERE declared_bytes IS NULL")
    assert sorted(api.keys()) == sorted(kept)
