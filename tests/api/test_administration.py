"""`rekindle-api admin`: what people look up and put right, and that the audit log tells who did it and why."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.cli import main

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer as JSON."""
        return json.loads(self.out)


Admin = Callable[..., Awaitable[Said]]


@pytest.fixture
def admin(migrated_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admin:
    """Run a command as its user does."""
    monkeypatch.setenv("DATABASE_URL", migrated_url)

    async def run(*arguments: str) -> Said:
        capsys.readouterr()
        try:
            status = await asyncio.to_thread(main, ["admin", *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture
async def ann(api: "Api", account: "Account") -> str:
    """The id of a user with an e-mail."""
    assert (await account.http.get("/api/v1/photos")).status_code == 200
    api.rows("UPDATE users SET email = 'Ann@Example.com', first_name = 'Ann' WHERE supabase_user_id = %s", account.id)
    [[user_id]] = api.rows("SELECT id FROM users WHERE supabase_user_id = %s", account.id)
    return str(user_id)


def trail(api: "Api", action: str) -> list[tuple[Any, ...]]:
    return api.rows("SELECT subject_id::text, actor_id, details FROM audit_logs WHERE action = %s ORDER BY id", action)


async def test_an_account_is_found_by_each_of_its_names(api: "Api", admin: Admin, account: "Account", ann: str) -> None:
    for name in (ann, account.id, "ann@example.COM"):
        said = await admin("user", "show", name, "--json", "--actor", "eve", "--reason", "ticket 4711")

        assert said.status == 0
        assert said.json["user"]["id"] == ann
        assert said.json["user"]["email"] == "Ann@Example.com"
    seen = trail(api, "admin.user_viewed")
    assert seen == [(ann, None, {"actor": "eve", "reason": "ticket 4711"})] * 3


async def test_an_account_is_shown_with_its_work_credits_and_storage(
    api: "Api", admin: Admin, account: "Account", ann: str, photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    restored = await account.restore(await account.photo(content))

    shown = (await admin("user", "show", ann, "--json")).json
    printed = (await admin("user", "show", ann)).out

    [[balance, held]] = api.rows("SELECT balance, held FROM credit_accounts WHERE user_id = %s", ann)
    assert shown["credits"] == {"spendable": balance - held, "balance": balance, "held": 2, "debt": 0}
    assert shown["storage"]["photos"] == 1
    assert shown["storage"]["used_bytes"] == len(content)
    assert [attempt["id"] for attempt in shown["attempts"]] == [restored]
    assert shown["attempts"][0]["status"] == "queued"
    assert shown["payments"] == []
    assert "Ann@Example.com" in printed
    assert restored in printed


async def test_a_name_that_nobody_or_more_than_one_has_is_refused(api: "Api", admin: Admin, ann: str) -> None:
    nobody = await admin("user", "show", "bob@example.com")
    other = str(uuid.uuid4())
    api.rows("INSERT INTO users (id, supabase_user_id, email) VALUES (%s, %s, 'ann@example.com')", other, other)
    several = await admin("user", "suspend", "ann@example.com", "--reason", "x")

    assert (nobody.status, nobody.out) == (1, "")
    assert "no such account" in nobody.err
    assert several.status == 1
    assert ann in several.err
    assert other in several.err
    assert api.rows("SELECT DISTINCT status FROM users") == [("active",)]


async def test_a_suspended_account_is_refused_at_once_until_it_is_resumed(
    api: "Api", admin: Admin, account: "Account", ann: str
) -> None:
    first = await admin("user", "suspend", ann, "--reason", "stolen card", "--json")
    again = await admin("user", "suspend", ann, "--reason", "stolen card", "--json")
    refused = await account.http.get("/api/v1/photos")
    resumed = await admin("user", "resume", ann, "--reason", "card was hers", "--json")

    assert first.json["user"] == {"id": ann, "status": "suspended", "changed": True}
    assert again.json["user"]["changed"] is False
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")
    assert resumed.json["user"]["status"] == "active"
    assert (await account.http.get("/api/v1/photos")).status_code == 200
    assert [details["reason"] for _, _, details in trail(api, "admin.user_suspended")] == ["stolen card"]
    assert [details["reason"] for _, _, details in trail(api, "admin.user_resumed")] == ["card was hers"]


@pytest.mark.parametrize("status", ["deletion_requested", "deleted"])
async def test_an_account_on_its_way_out_is_neither_suspended_nor_resumed(
    api: "Api", admin: Admin, ann: str, status: str
) -> None:
    api.rows("UPDATE users SET status = %s WHERE id = %s", status, ann)

    for command in ("suspend", "resume"):
        assert (await admin("user", command, ann, "--reason", "x")).status == 1
    assert api.rows("SELECT status FROM users WHERE id = %s", ann) == [(status,)]


async def test_credits_are_adjusted_once_for_each_reference(api: "Api", admin: Admin, ann: str) -> None:
    async def adjust(amount: str, reference: str) -> Any:
        given = ("--reason", "ticket 4711", "--reference", reference, "--json")
        return (await admin("credits", "adjust", ann, amount, *given)).json["credits"]

    first, again = await adjust("+5", "ticket-4711"), await adjust("+5", "ticket-4711")
    taken = await adjust("-2", "ticket-4712")

    assert (first["done"], first["spendable"]) == (True, 5)
    assert (again["done"], again["spendable"]) == (False, 5)
    assert (taken["done"], taken["spendable"]) == (True, 3)
    noted = [details for _, _, details in trail(api, "admin.credits_adjusted")]
    assert [(one["amount"], one["reference"], one["reason"]) for one in noted] == [
        (5, "ticket-4711", "ticket 4711"),
        (-2, "ticket-4712", "ticket 4711"),
    ]
    assert all(one["actor"] for one in noted)


@pytest.mark.parametrize(
    "arguments",
    [
        ("credits", "adjust", "x", "+5"),
        ("credits", "adjust", "x", "0", "--reason", "x"),
        ("credits", "adjust", "x", "many", "--reason", "x"),
        ("user", "suspend", "x"),
        ("user", "suspend", "x", "--reason", " "),
        ("outbox", "retry", "not-an-id"),
        ("webhooks", "list", "--state", "lost"),
        ("webhooks", "list", "--limit", "0"),
        (),
    ],
)
async def test_wrong_arguments_end_with_2_and_change_nothing(admin: Admin, arguments: tuple[str, ...]) -> None:
    said = await admin(*arguments)

    assert said.status == 2
    assert "usage: rekindle-api admin" in said.err


async def test_a_ledger_that_does_not_add_up_is_told_with_its_differences(api: "Api", admin: Admin, ann: str) -> None:
    await admin("credits", "adjust", ann, "+5", "--reason", "x")
    good = await admin("ledger", "check", "--json")
    api.rows("ALTER TABLE credit_accounts DISABLE TRIGGER ALL")
    api.rows("UPDATE credit_accounts SET balance = 7 WHERE user_id = %s", ann)

    whole, one = await admin("ledger", "check", "--json"), await admin("ledger", "check", ann)

    assert (good.status, good.json) == (0, {"differences": []})
    assert whole.status == one.status == 1
    assert {"difference": f"user {ann}: the balance is 7, the entries make 5"} in whole.json["differences"]
    assert "the entries make 5" in one.out
    assert [subject for subject, _, _ in trail(api, "admin.ledger_checked")] == [None, None, ann]


async def test_an_order_that_was_set_aside_is_shown_and_taken_up_again(
    api: "Api", admin: Admin, account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    attempt = await account.restore(await account.photo(photo_bytes()))
    api.rows("UPDATE outbox SET parked_at = now(), attempts = 12, last_error = 'forbidden'")

    shown = (await admin("outbox", "--json")).json
    retried = await admin("outbox", "retry", attempt, "--reason", "role mended")
    after = (await admin("outbox", "--json")).json
    unknown = await admin("outbox", "retry", str(uuid.uuid4()))

    assert (shown["outbox"]["waiting"], shown["outbox"]["parked"]) == (0, 1)
    assert shown["orders"][0]["attempt"] == attempt
    assert shown["orders"][0]["last_error"] == "forbidden"
    assert retried.status == 0
    assert (after["outbox"]["waiting"], after["outbox"]["parked"]) == (1, 0)
    assert unknown.status == 1
    [(subject, _, details)] = trail(api, "admin.order_retried")
    assert (subject, details["reason"]) == (attempt, "role mended")
    assert len(trail(api, "admin.outbox_viewed")) == 2


async def test_a_webhook_is_listed_shown_and_handled_again(api: "Api", admin: Admin) -> None:
    for name, outcome in (("evt_1", "granted"), ("evt_2", "ignored")):
        api.rows(
            "INSERT INTO webhook_events (id, source, external_id, type, object_id, occurred_at, handled_at, outcome)"
            " VALUES (gen_random_uuid(), 'stripe', %s, 'invoice.paid', 'in_1', now(), now(), %s)",
            name,
            outcome,
        )

    listed = (await admin("webhooks", "list", "--state", "handled", "--source", "stripe", "--json")).json
    about = (await admin("webhooks", "show", "in_1", "--json")).json
    replayed = await admin("webhooks", "replay", "evt_1", "--json")
    waiting = (await admin("webhooks", "list", "--state", "waiting", "--json")).json
    unknown = await admin("webhooks", "replay", "evt_3")
    object_only = await admin("webhooks", "replay", "in_1")

    assert [event["external_id"] for event in listed["webhooks"]] == ["evt_2", "evt_1"]
    assert {event["external_id"] for event in about["webhooks"]} == {"evt_1", "evt_2"}
    assert replayed.json["replayed"] == [{"source": "stripe", "external_id": "evt_1", "type": "invoice.paid"}]
    assert [event["external_id"] for event in waiting["webhooks"]] == ["evt_1"]
    assert unknown.status == object_only.status == 1
    assert [details["external_id"] for _, _, details in trail(api, "admin.webhook_replayed")] == ["evt_1"]
    assert len(trail(api, "admin.webhooks_viewed")) == 2
    viewed = api.rows("SELECT id::text FROM webhook_events ORDER BY id")
    assert sorted((subject,) for subject, _, _ in trail(api, "admin.webhook_viewed")) == viewed


async def test_the_audit_log_is_read_by_who_did_it_and_to_what(
    admin: Admin, account: "Account", ann: str, photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    await admin("user", "suspend", ann, "--reason", "stolen card", "--actor", "eve")

    of_photo = (await admin("audit", photo_id, "--json")).json["audit"]
    of_user = (await admin("audit", ann, "--json")).json["audit"]
    of_request = (await admin("audit", of_photo[0]["request"], "--json")).json["audit"]
    again = (await admin("audit", ann)).out

    assert [(entry["action"], entry["actor"]) for entry in of_photo] == [("photo.uploaded", ann)]
    assert of_user[0]["action"] == "admin.user_suspended"
    assert (of_user[0]["actor"], of_user[0]["details"]) == ("eve", "reason=stolen card")
    assert "photo.uploaded" in {entry["action"] for entry in of_user}
    assert of_photo[0] in of_request
    assert "admin.audit_viewed" in again


async def test_a_database_that_does_not_answer_ends_with_2(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:Hk3-long-and-random@127.0.0.1:1/nothing")

    said = await admin("outbox")

    assert said.status == 2
    assert "the database cannot be used" in said.err
    assert "Hk3" not in said.err


async def test_what_others_wrote_does_not_steer_the_terminal(api: "Api", admin: Admin, ann: str) -> None:
    api.rows("UPDATE users SET first_name = E'A\\x1b[2Jnn' WHERE id = %s", ann)

    assert "\x1b" not in (await admin("user", "show", ann)).out


@pytest.mark.parametrize("subject", [(), ("user", "show"), ("credits", "adjust"), ("outbox",), ("audit",)])
async def test_each_command_explains_itself(admin: Admin, subject: tuple[str, ...]) -> None:
    said = await admin(*subject, "--help")

    assert said.status == 0
    assert "usage: rekindle-api admin" in said.out
