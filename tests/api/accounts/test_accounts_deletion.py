"""How accounts end: asked for, taken back, due, or gone from Supabase; and how nothing is left of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from tests.api.accounts.hooks import account_row

from rekindle_api.accounts.purge import Purge
from rekindle_api.accounts.reconciliation import Reconciliation
from rekindle_api.settings import AccountSettings, PlanSettings, read
from rekindle_api.users.directory import DirectoryUnavailableError, SupabaseDirectory
from rekindle_api.users.supabase import SupabaseUser

if TYPE_CHECKING:
    from tests.api.accounts.conftest import Send, SignUp
    from tests.api.conftest import Account, Api, PhotoMaker

    from rekindle_dev.issuer import TokenIssuer

pytestmark = pytest.mark.stack
ME, BACK = "/api/v1/users/me", "/api/v1/users/me/cancel-deletion"
STATUS = "SELECT status FROM users WHERE supabase_user_id = %s"


def purge(api: "Api", directory: SupabaseDirectory | None = None) -> Purge:
    return Purge(api.app.state.database, directory, None, read(AccountSettings))


def comparison(api: "Api", directory: "SupabaseDirectory | Broken") -> Reconciliation:
    return Reconciliation(api.app.state.database, directory, read(PlanSettings), read(AccountSettings))


async def test_a_deletion_is_asked_for_and_taken_back(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    attempt = await account.restore(await account.photo(photo_bytes()))

    asked = await account.http.delete(ME)

    assert asked.status_code == 200
    assert asked.json()["grace_period_days"] == 30
    assert api.rows("SELECT status FROM restore_attempts WHERE id = %s", attempt) == [("cancelled",)]
    assert api.rows("SELECT held FROM credit_accounts") == [(0,)]
    for call in (account.http.get(ME), account.http.get("/api/v1/photos"), account.http.delete(ME)):
        reply = await call
        assert (reply.status_code, reply.json()["code"]) == (403, "account_deletion_requested")
    for _ in range(2):
        back = await account.http.post(BACK)
        assert (back.status_code, back.json()["account_status"]) == (200, "active")
    assert (await account.http.get("/api/v1/photos")).json()["total"] == 1
    actions = [action for (action,) in api.rows("SELECT action FROM audit_logs ORDER BY id")]
    assert [action for action in actions if "deletion" in action] == [
        "account.deletion_requested",
        "account.deletion_cancelled",
    ]


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_only_an_account_that_may_be_taken_back_is(api: "Api", account: "Account", status: str) -> None:
    await account.http.get(ME)
    api.rows("UPDATE users SET status = %s", status)

    reply = await account.http.post(BACK)

    assert (reply.status_code, reply.json()["code"]) == (403, f"account_{status}")


async def test_an_account_whose_grace_is_over_is_cleared_up(
    joined: "Api", sign_up: "SignUp", admin: SupabaseDirectory, photo_bytes: "PhotoMaker"
) -> None:
    newcomer, neighbour = await sign_up(joined, first_name="Ada"), await sign_up(joined)
    files = {"file": ("file-upload-1.jpg", photo_bytes(), "image/jpeg")}
    for who in (newcomer, neighbour):
        assert (await who.http.post("/api/v1/photos/upload", files=files)).status_code == 201
        assert (await who.http.get(ME)).json()["total_credits"] == 3
    await newcomer.http.delete(ME)
    assert str(await purge(joined, admin).run()) == "accounts ended=0 purged=0 failures=0"

    joined.rows("UPDATE users SET deletion_requested_at = now() - interval '31 days' WHERE first_name = 'Ada'")
    assert str(await purge(joined, admin).run()) == "accounts ended=1 purged=0 failures=0"

    assert joined.rows("SELECT email, first_name, email_verified_at FROM users WHERE status = 'deleted'") == [
        (None, None, None)
    ]
    assert await admin.find(uuid.UUID(newcomer.id)) is None
    assert await admin.find(uuid.UUID(neighbour.id)) is not None
    assert joined.rows("SELECT count(*) FROM photos WHERE deleted_at IS NULL") == [(1,)]
    assert (await newcomer.http.get(ME)).json()["code"] == "account_deleted"

    # What the sweep does with hidden photos, and an hour later:
    joined.rows("DELETE FROM photos WHERE deleted_at IS NOT NULL")
    joined.rows("UPDATE users SET deleted_at = now() - interval '2 hours' WHERE status = 'deleted'")
    assert str(await purge(joined, admin).run()) == "accounts ended=0 purged=1 failures=0"
    assert str(await purge(joined, admin).run()) == "accounts ended=0 purged=0 failures=0"
    assert joined.rows("SELECT count(*) FROM credit_entries") == [(2,)]


async def test_what_supabase_does_not_answer_is_left_for_the_next_pass(
    joined: "Api", sign_up: "SignUp", project: "TokenIssuer", admin: SupabaseDirectory
) -> None:
    newcomer = await sign_up(joined)
    await newcomer.http.delete(ME)
    joined.rows("UPDATE users SET deletion_requested_at = now() - interval '31 days'")
    project.pause()
    try:
        assert str(await purge(joined, admin).run()) == "accounts ended=1 purged=0 failures=1"
    finally:
        project.resume()

    joined.rows("UPDATE users SET deleted_at = now() - interval '2 hours'")
    assert str(await purge(joined, admin).run()) == "accounts ended=0 purged=1 failures=0"
    assert await admin.find(uuid.UUID(newcomer.id)) is None


async def test_purges_and_a_change_of_mind_that_race_leave_one_outcome(api: "Api", account: "Account") -> None:
    await account.http.get(ME)
    await account.http.delete(ME)
    api.rows("UPDATE users SET deletion_requested_at = now() - interval '31 days'")

    back, *passes = await asyncio.gather(account.http.post(BACK), purge(api).run(), purge(api).run())

    [(status,)] = api.rows("SELECT status FROM users")
    ended = sum(done.ended for done in passes)
    assert (back.status_code, status, ended) in {(200, "active", 0), (403, "deleted", 1)}


async def test_the_comparison_repairs_what_no_webhook_said(
    joined: "Api", sign_up: "SignUp", admin: SupabaseDirectory
) -> None:
    people = [await sign_up(joined) for _ in range(5)]
    await people[0].http.get(ME)

    assert str(await comparison(joined, admin).run()) == (
        "compared with Supabase listed=5 created=4 updated=0 deleted=0 failures=0"
    )
    assert joined.rows("SELECT sum(balance) FROM credit_accounts") == [(15,)]

    await admin.delete(uuid.UUID(people[1].id))
    assert str(await comparison(joined, admin).run()) == (
        "compared with Supabase listed=4 created=0 updated=0 deleted=1 failures=0"
    )
    assert joined.rows(STATUS, people[1].id) == [("deleted",)]
    assert (await people[1].http.get(ME)).json()["code"] == "account_deleted"


class Broken:
    """A directory of another project, or one that stops halfway."""

    def __init__(self, pages: list[list[SupabaseUser]], *, stops: bool = False) -> None:
        self._pages = pages
        self._stops = stops

    async def pages(self) -> AsyncIterator[list[SupabaseUser]]:
        for page in self._pages:
            yield page
        if self._stops:
            raise DirectoryUnavailableError("The account service does not answer.")

    async def find(self, user_id: uuid.UUID) -> SupabaseUser | None:
        raise AssertionError(f"nobody is asked for: {user_id}")

    async def delete(self, user_id: uuid.UUID) -> None:
        raise AssertionError(f"nobody is deleted: {user_id}")

    async def close(self) -> None: ...


@pytest.mark.parametrize("directory", [Broken([]), Broken([], stops=True), Broken([[SupabaseUser(id=uuid.uuid4())]])])
async def test_a_list_that_cannot_be_true_ends_nobody(hooked: "Api", send: "Send", directory: Broken) -> None:
    row = account_row()
    await send("INSERT", row)

    compared = await comparison(hooked, directory).run()

    assert (compared.deleted, compared.failures) == (0, 1)
    assert hooked.rows("SELECT supabase_user_id::text, status FROM users") == [(row["id"], "active")]
