"""The calls that the frontend declares or the former backend served, in their paths and shapes."""

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.api.contract import shapes

from rekindle_api.attempts.models import AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker
    from tests.api.contract.conftest import Frontend, Matches

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("how", ["query", "json", "exact"])
async def test_a_photo_can_go_straight_to_the_storage(
    account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches", how: str
) -> None:
    content = photo_bytes()
    wanted: dict[str, str | int] = {"filename": "old.jpg", "content_type": "image/jpeg", "max_size_bytes": 100_000}
    if how == "exact":
        wanted |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path = "/api/v1/photos/presigned-upload"
    reply = await account.http.post(path, **{"params" if how == "query" else "json": wanted})  # type: ignore[arg-type]
    assert reply.is_success, reply.text
    upload = matches(reply.json(), shapes.PresignedUpload)

    async with httpx.AsyncClient(timeout=60) as browser:
        stored = await browser.post(upload["url"], data=upload["fields"], files={"file": content})
    assert stored.is_success, stored.text
    assert (await frontend.get("/api/v1/photos"))["total"] == 0

    photo = matches(await frontend.post(f"/api/v1/photos/{upload['photo_id']}/complete"), shapes.Photo)

    assert photo["status"] == "ready"
    assert photo["checksum_sha256"] == hashlib.sha256(content).hexdigest()
    assert (await frontend.get("/api/v1/photos"))["total"] == 1


async def test_a_sync_makes_the_account_and_then_finds_it(api: "Api", matches: "Matches") -> None:
    newcomer = api.account()

    first = await newcomer.http.post("/api/v1/users/sync")
    second = await newcomer.http.post("/api/v1/users/sync")

    assert [first.status_code, second.status_code] == [201, 200]
    assert matches(first.json(), shapes.Profile)["id"] == second.json()["id"]


async def test_the_sixth_sync_in_a_minute_is_refused(api: "Api") -> None:
    newcomer = api.account()

    statuses = [(await newcomer.http.post("/api/v1/users/sync")).status_code for _ in range(6)]

    assert statuses == [201, 200, 200, 200, 200, 429]


async def test_a_profile_is_read_and_changed(frontend: "Frontend", matches: "Matches") -> None:
    changed = matches(
        await frontend.put("/api/v1/users/me", {"first_name": "Zoë", "last_name": "O'Neill-Smith"}), shapes.Profile
    )
    assert changed["full_name"] == "Zoë O'Neill-Smith"

    cleared = await frontend.put("/api/v1/users/me", {"first_name": ""})
    assert cleared["first_name"] is None
    assert matches(await frontend.get("/api/v1/users/me"), shapes.Profile)["last_name"] == "O'Neill-Smith"


@pytest.mark.parametrize("name", ["R2D2", "x" * 101, "<b>"])
async def test_a_name_that_is_none_is_refused(account: "Account", name: str) -> None:
    reply = await account.http.put("/api/v1/users/me", json={"first_name": name})

    assert reply.status_code == 422
    assert reply.json()["errors"]


async def test_a_deletion_can_be_taken_back_within_its_grace(
    account: "Account", frontend: "Frontend", matches: "Matches"
) -> None:
    await frontend.get("/api/v1/users/me")

    matches(await frontend.delete("/api/v1/users/me"), shapes.DeletionRequested)
    assert (await account.http.get("/api/v1/users/me")).status_code == 403

    matches(await frontend.post("/api/v1/users/me/cancel-deletion"), shapes.DeletionCancelled)
    assert (await account.http.get("/api/v1/users/me")).status_code == 200


async def test_an_export_is_an_attachment_with_everything(
    account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    await frontend.upload(content)

    reply = await account.http.get("/api/v1/users/me/export")

    assert reply.status_code == 200
    assert reply.headers["Content-Disposition"].startswith("attachment")
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert names >= {"profile.json", "photos.json", "jobs.json", "payments.json"}
    assert content in [archive.read(name) for name in archive.namelist()]


async def test_the_balance_has_the_history_of_the_credits(
    api: "Api", account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    before = matches(await frontend.get("/api/v1/credits/balance"), shapes.CreditBalance)
    attempt_id = await account.restore((await frontend.upload(photo_bytes()))["id"])
    await api.complete(attempt_id)

    after = matches(await frontend.get("/api/v1/credits/balance"), shapes.CreditBalance)

    assert after["totalCredits"] == before["totalCredits"] - 2
    newest = after["creditHistory"][0]
    assert (newest["type"], abs(newest["amount"]), newest["processingJobId"]) == ("spent", 2, attempt_id)


async def test_a_cost_is_told_before_it_is_spent(frontend: "Frontend", matches: "Matches") -> None:
    options = {"restore": True, "colourize": True, "animate": True, "bringTogether": False}

    told = matches(await frontend.post("/api/v1/credits/calculate-cost", options), shapes.CostCalculation)

    assert told["subtotal"] - told["combinedDiscount"] == told["totalCost"] == 12
    assert told["remainingCredits"] == told["availableCredits"] - 12


async def test_a_processing_job_is_followed_cancelled_and_tried_again(
    api: "Api", account: "Account", frontend: "Frontend", photo_bytes: "PhotoMaker", matches: "Matches"
) -> None:
    photo_id = (await frontend.upload(photo_bytes()))["id"]
    attempt_id = await account.restore(photo_id)
    for identifier in (attempt_id, photo_id):
        state = matches(await frontend.get(f"/api/v1/processing/jobs/{identifier}/status"), shapes.ProcessingStatus)
        assert (state["id"], state["status"]) == (attempt_id, "queued")

    cancelled = matches(await frontend.post(f"/api/v1/processing/jobs/{attempt_id}/cancel"), shapes.ProcessingStatus)
    assert cancelled["status"] == "cancelled"

    again = matches(await frontend.post(f"/api/v1/processing/jobs/{attempt_id}/retry"), shapes.ProcessingStatus)
    assert again["id"] != attempt_id
    assert again["status"] == "queued"
    await api.observe(again["id"], status=AttemptStatus.FAILED, reason="Crashed", message="It broke.")
    failed = matches(await frontend.get(f"/api/v1/processing/jobs/{again['id']}/status"), shapes.ProcessingStatus)
    assert (failed["status"], failed["error"]) == ("failed", "It broke.")


@pytest.mark.parametrize("path", ["/health", "/"])
async def test_the_service_says_what_it_is(api: "Api", matches: "Matches", path: str) -> None:
    matches((await api.http.get(path)).json(), shapes.Health)


@pytest.mark.parametrize("path", ["/api/webhooks/stripe", "/api/webhooks/supabase"])
async def test_a_webhook_that_nobody_signed_is_refused(api: "Api", path: str) -> None:
    reply = await api.http.post(path, json={"type": "INSERT"})

    assert 400 <= reply.status_code < 500 or reply.status_code == 503
