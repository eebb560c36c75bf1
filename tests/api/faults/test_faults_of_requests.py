"""The web server, killed at each place of a request: the client asks again, and nothing is lost or doubled."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.api.fault_points import (
    ANNOUNCEMENT,
    CANCELLATION,
    DELETED_PHOTO,
    FIRST_CALL,
    FORM,
    REFUSED_UPLOAD,
    REQUEST,
    TESTED,
    UPLOAD,
)

from rekindle_api.credits.service import check
from rekindle_api.faults import FAULT_POINTS, Place

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker
    from tests.api.faults.conftest import Mortals

pytestmark = [pytest.mark.stack, pytest.mark.slow]
BODY = {"model": "classic", "params": {"denoise": 0.7, "megapixels": 2}}


def test_every_fault_point_of_the_service_is_died_at() -> None:
    assert set(FAULT_POINTS) == TESTED


async def adds_up(api: "Api") -> bool:
    async with api.app.state.database.transaction() as session:
        assert await check(session) == []
    return True


def stored_and_known(api: "Api") -> bool:
    """Tell whether the objects in the bucket are those that the rows of photos name, and no part of one is there."""
    named = {key for row in api.rows("SELECT original_key, thumbnail_key FROM photos") for key in row}
    assert set(api.keys()) == named
    assert not api.unfinished_uploads()
    return True


@pytest.mark.parametrize("point", FIRST_CALL)
async def test_the_first_call_of_a_user_makes_one_account(api: "Api", mortals: "Mortals", point: str) -> None:
    account = api.account()

    assert await mortals.dying(point, account, "GET", "/api/v1/photos") is None

    assert (await account.http.get("/api/v1/photos")).status_code == 200
    assert api.rows("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("point", UPLOAD)
async def test_an_upload_that_is_sent_again_is_one_photo(
    api: "Api",
    account: "Account",
    mortals: "Mortals",
    photo_bytes: "PhotoMaker",
    large_photo: bytes,
    point: str,
) -> None:
    content = large_photo if point == Place.UPLOAD_RECEIVED else photo_bytes()
    file = {"file": ("file-upload-1.jpg", content, "image/jpeg")}

    assert await mortals.dying(point, account, "POST", "/api/v1/photos/upload", files=file) is None

    reply = await account.upload(content)
    assert reply.status_code in {200, 201}
    assert (await account.http.get("/api/v1/photos")).json()["total"] == 1
    assert await mortals.sweep() == 0
    assert api.rows("SELECT id::text, status FROM photos") == [(reply.json()["id"], "ready")]
    assert api.rows("SELECT count(*) FROM audit_logs WHERE action = 'photo.uploaded'") == [(1,)]
    assert stored_and_known(api)


@pytest.mark.parametrize("point", ANNOUNCEMENT)
async def test_a_form_that_is_asked_for_again_is_of_one_upload(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str
) -> None:
    asked: dict[str, Any] = {"json": {"content_type": "image/jpeg"}, "headers": {"Idempotency-Key": "one"}}

    assert await mortals.dying(point, account, "POST", "/api/v1/photos/presigned-upload", **asked) is None

    form = (await account.http.post("/api/v1/photos/presigned-upload", **asked)).json()
    assert api.rows("SELECT id::text, status FROM photos") == [(form["photo_id"], "pending")]
    async with httpx.AsyncClient(timeout=60) as browser:
        await browser.post(form["url"], data=form["fields"], files={"file": ("photo", photo_bytes())})
    assert (await account.http.post(f"/api/v1/photos/{form['photo_id']}/complete")).status_code == 201
    assert stored_and_known(api)


@pytest.mark.parametrize("point", FORM)
async def test_a_form_that_is_completed_again_is_one_photo(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str
) -> None:
    said = {"filename": "a.jpg", "content_type": "image/jpeg"}
    form = (await account.http.post("/api/v1/photos/presigned-upload", json=said)).json()
    async with httpx.AsyncClient(timeout=60) as browser:
        await browser.post(form["url"], data=form["fields"], files={"file": ("photo", photo_bytes())})
    path = f"/api/v1/photos/{form['photo_id']}/complete"

    assert await mortals.dying(point, account, "POST", path) is None

    reply = await account.http.post(path)
    assert reply.status_code in {200, 201}, reply.text
    assert api.rows("SELECT id::text, status FROM photos") == [(form["photo_id"], "ready")]
    assert api.rows("SELECT count(*) FROM audit_logs WHERE action = 'photo.uploaded'") == [(1,)]
    named = {key for row in api.rows("SELECT original_key, thumbnail_key FROM photos") for key in row}
    # What came by the form itself may be left behind until the sweep, and nothing else.
    assert set(api.keys()) - named <= {form["key"]}


@pytest.mark.parametrize("point", REFUSED_UPLOAD)
async def test_an_upload_that_is_refused_leaves_nothing(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str
) -> None:
    broken = photo_bytes()[:200]
    file = {"file": ("file-upload-1.jpg", broken, "image/jpeg")}

    assert await mortals.dying(point, account, "POST", "/api/v1/photos/upload", files=file) is None

    assert (await account.upload(broken)).status_code in {415, 422}
    assert await mortals.sweep() == 0
    assert api.nothing_left()


@pytest.mark.parametrize("point", DELETED_PHOTO)
async def test_a_photo_that_is_deleted_again_is_gone(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str
) -> None:
    path = f"/api/v1/photos/{await account.photo(photo_bytes())}"

    await mortals.dying(point, account, "DELETE", path)

    assert (await account.http.delete(path)).status_code == 200
    assert (await account.http.get(path)).status_code == 404
    assert api.rows("SELECT count(*) FROM audit_logs WHERE action = 'photo.deleted'") == [(1,)]
    assert await mortals.sweep() == 0
    assert api.nothing_left()


@pytest.mark.parametrize("point", REQUEST)
@pytest.mark.parametrize("work", ["restore", "animate"])
async def test_work_that_is_asked_for_again_is_one_attempt_with_one_hold(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str, work: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    body: dict[str, Any] = BODY if work == "restore" else {"params": {}}
    path = f"/api/v1/photos/{photo_id}/{work}"
    await account.http.get("/api/v1/credits/balance")

    assert await mortals.dying(point, account, "POST", path, json=body) is None

    reply = await account.http.post(path, json=body)
    assert reply.status_code == 202, reply.text
    [(attempt, cost)] = api.rows(
        "SELECT id::text, credits FROM restore_attempts UNION ALL SELECT id::text, credits FROM animation_attempts"
    )
    assert attempt == reply.json()["id"]
    assert api.rows("SELECT attempt_id::text, desired FROM outbox") == [(attempt, "create")]
    assert api.rows("SELECT attempt_id::text, credits, state FROM credit_holds") == [(attempt, cost, "held")]
    assert api.rows("SELECT held FROM credit_accounts") == [(cost,)]
    assert await adds_up(api)


@pytest.mark.parametrize("point", CANCELLATION)
async def test_an_attempt_that_is_deleted_again_gives_its_credits_back_once(
    api: "Api", account: "Account", mortals: "Mortals", photo_bytes: "PhotoMaker", point: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    path = f"/api/v1/jobs/{photo_id}/restore/{await account.restore(photo_id)}"

    assert await mortals.dying(point, account, "DELETE", path) is None

    assert (await account.http.delete(path)).status_code == 200
    assert api.rows("SELECT status FROM restore_attempts") == [("cancelled",)]
    assert api.rows("SELECT state FROM credit_holds") == [("released",)]
    assert api.rows("SELECT held FROM credit_accounts") == [(0,)]
    assert api.rows("SELECT count(*) FROM outbox") == [(0,)]
    assert await adds_up(api)
