"""Credits over HTTP: what work costs, what is left, and who is refused."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.models import AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack


async def balance(account: "Account", **query: Any) -> dict[str, Any]:
    reply = await account.http.get("/api/v1/credits/balance", params=query)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def test_a_new_user_has_an_empty_history_and_a_warning(api: "Api") -> None:
    told = await balance(api.account(credits_=0))

    assert told["totalCredits"] == told["heldCredits"] == told["owedCredits"] == 0
    assert (told["subscriptionTier"], told["nextBillingDate"], told["lowCreditWarning"]) == ("free", None, True)
    assert (told["creditHistory"], told["olderHistory"]) == ([], None)
    assert told["usageRules"]["restoreAndColourize"] == 4


async def test_only_as_much_work_begins_as_can_be_paid(api: "Api", photo_bytes: "PhotoMaker") -> None:
    account = api.account(credits_=3)
    photo_id = await account.photo(photo_bytes())

    replies = await asyncio.gather(
        *(
            account.http.post(f"/api/v1/photos/{photo_id}/restore", json={"params": {"denoise": share / 10}})
            for share in range(10)
        )
    )

    assert sorted(reply.status_code for reply in replies) == [202, *[402] * 9]
    refused = next(reply for reply in replies if reply.status_code == 402)
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "insufficient_credits"
    assert refused.json()["detail"].startswith("This costs 2 credits, and 1 can be spent.")
    told = await balance(account)
    assert (told["totalCredits"], told["heldCredits"]) == (1, 2)
    assert api.rows("SELECT count(*) FROM restore_attempts") == api.rows("SELECT count(*) FROM outbox") == [(1,)]


@pytest.mark.parametrize("end", [AttemptStatus.FAILED, AttemptStatus.CANCELLED])
async def test_what_brings_nothing_costs_nothing(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", end: AttemptStatus
) -> None:
    attempt_id = await account.restore(await account.photo(photo_bytes()))
    before = await balance(account)

    await api.observe(attempt_id, status=end)

    after = await balance(account)
    assert (before["heldCredits"], after["heldCredits"]) == (2, 0)
    assert after["totalCredits"] == before["totalCredits"] + 2
    assert [entry["type"] for entry in after["creditHistory"]] == ["earned"]
    assert api.rows("SELECT credits_charged FROM restore_attempts") == [(0,)]


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs/{photo}/restore/{attempt}", "/api/v1/photos/{photo}", "/api/v1/jobs/{photo}"]
)
async def test_deleting_what_has_not_begun_gives_its_credits_back(
    account: "Account", photo_bytes: "PhotoMaker", path: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)

    reply = await account.http.delete(path.format(photo=photo_id, attempt=attempt_id))

    assert reply.status_code == 200
    assert (await balance(account))["heldCredits"] == 0


async def test_the_animation_of_a_failed_restoration_costs_nothing(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    await account.animate(photo_id, restore_id)
    assert (await balance(account))["heldCredits"] == 10

    await api.observe(restore_id, status=AttemptStatus.FAILED, reason="Crashed")

    assert (await balance(account))["heldCredits"] == 0


async def test_colour_of_an_earlier_result_has_its_own_price(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    done = await account.restore(photo_id)
    await api.complete(done)

    await account.restore(photo_id, restore={"colourize": True, "sourceResultId": done})

    assert (await balance(account))["heldCredits"] == 3


async def test_the_history_is_read_page_by_page_newest_first(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    ids = []
    for share in range(3):
        ids.append(await account.restore(photo_id, denoise=share / 10))
        await api.complete(ids[-1])

    first = await balance(account, limit=2)
    second = await balance(account, limit=2, before=first["olderHistory"])

    shown = [*first["creditHistory"], *second["creditHistory"]]
    assert [entry["processingJobId"] for entry in shown] == [*reversed(ids), None]
    assert [(entry["type"], entry["amount"]) for entry in shown] == [*[("spent", -2)] * 3, ("earned", 10_000)]
    assert shown[0]["description"] == "Restoration"
    assert second["olderHistory"] is None
    for wrong in ({"limit": 101}, {"limit": 0}, {"before": "x"}, {"before": 2**63}):
        assert (await account.http.get("/api/v1/credits/balance", params=wrong)).status_code == 422


async def test_nobody_sees_the_credits_of_another(api: "Api", account: "Account") -> None:
    await balance(account)

    assert (await balance(api.account(credits_=7)))["totalCredits"] == 7
    assert (await api.http.get("/api/v1/credits/balance")).status_code == 401


async def test_a_cost_is_told_in_every_form(account: "Account") -> None:
    reply = await account.http.post(
        "/api/v1/credits/calculate-cost",
        json={"restore": {"denoise": 0.5}, "colourize": True, "animate": True, "bringTogether": True},
    )

    assert reply.json() == {
        "individualCosts": {"restore": 2, "colourize": 3, "animate": 8, "bringTogether": 0},
        "subtotal": 13,
        "combinedDiscount": 1,
        "totalCost": 12,
        "availableCredits": 10_000,
        "remainingCredits": 9_988,
        "notes": ["bringTogether is not offered: nothing is done for it, and it costs nothing."],
    }


async def test_free_credits_come_with_the_first_look_once_the_email_is_verified(api: "Api") -> None:
    account = api.account(credits_=0)
    await balance(account)
    api.rows("UPDATE users SET email = 'ana@example.com', email_verified_at = now()")

    assert (await balance(account))["totalCredits"] == 3
    assert (await balance(account))["totalCredits"] == 3


async def test_prices_and_tiers_are_settings(start_api: Any) -> None:
    api = await start_api(costs={"restore": 7}, plans={"free": {"credits": 11}}, low_credits=20)
    account = api.account(credits_=0)
    await balance(account)
    api.rows("UPDATE users SET email = 'ana@example.com', email_verified_at = now()")

    told = await balance(account)

    assert (told["totalCredits"], told["lowCreditWarning"], told["usageRules"]["restore"]) == (11, True, 7)
