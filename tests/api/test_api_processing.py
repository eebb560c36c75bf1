"""Following, cancelling and repeating attempts by their own ids, or by the job's for the newest."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack
FAILED, PROCESSING = AttemptStatus.FAILED, AttemptStatus.PROCESSING


async def state(account: "Account", identifier: str) -> dict[str, Any]:
    reply = await account.http.get(f"/api/v1/processing/jobs/{identifier}/status")
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def press(account: "Account", identifier: str, button: str, status: int) -> dict[str, Any]:
    reply = await account.http.post(f"/api/v1/processing/jobs/{identifier}/{button}")
    assert reply.status_code == status, reply.text
    return dict(reply.json())


async def test_a_state_tells_when_work_will_be_done_and_what_it_cost(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    attempt_id = await account.restore(await account.photo(photo_bytes()))
    when = datetime(2030, 1, 1, tzinfo=UTC)

    await api.observe(attempt_id, status=PROCESSING, progress_percent=40, estimated_completion_at=when)
    running = await state(account, attempt_id)
    await api.complete(attempt_id)
    done = await state(account, attempt_id)

    assert running == {
        "id": attempt_id,
        "status": "processing",
        "progress": 40,
        "estimatedCompletion": "2030-01-01T00:00:00Z",
        "error": None,
        "cancelRequested": False,
        "creditsCharged": None,
    }
    assert (done["status"], done["progress"], done["estimatedCompletion"], done["creditsCharged"]) == (
        "completed",
        100,
        None,
        2,
    )


async def test_what_has_not_begun_is_cancelled_at_once(account: "Account", photo_bytes: "PhotoMaker") -> None:
    attempt_id = await account.restore(await account.photo(photo_bytes()))

    for _ in range(2):
        told = await press(account, attempt_id, "cancel", 200)
        assert (told["id"], told["status"], told["creditsCharged"]) == (attempt_id, "cancelled", 0)


async def test_what_works_is_cancelled_through_its_resource(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    api.rows("UPDATE outbox SET attempts = 1")

    told = await press(account, photo_id, "cancel", 200)

    assert (told["id"], told["status"], told["cancelRequested"]) == (attempt_id, "queued", True)
    assert api.rows("SELECT desired FROM outbox") == [("cancel",)]
    assert api.rows("SELECT held FROM credit_accounts") == [(2,)]
    assert (await press(account, attempt_id, "retry", 409))["code"] == "attempt_not_retryable"
    await api.observe(attempt_id, status=AttemptStatus.CANCELLED)
    assert api.rows("SELECT held FROM credit_accounts") == [(0,)]


@pytest.mark.parametrize("end", [FAILED, AttemptStatus.COMPLETED])
async def test_what_ended_by_itself_cannot_be_cancelled(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", end: AttemptStatus
) -> None:
    attempt_id = await account.restore(await account.photo(photo_bytes()))
    if end is FAILED:
        await api.observe(attempt_id, status=FAILED)
    else:
        await api.complete(attempt_id)

    assert (await press(account, attempt_id, "cancel", 409))["code"] == "attempt_ended"


async def test_a_retry_is_a_new_attempt_with_the_same_wishes(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id, restore={"colourize": True, "userPrompt": "keep the freckles"})
    await api.observe(attempt_id, status=FAILED, reason="Crashed")

    again = await press(account, attempt_id, "retry", 202)

    assert again["id"] != attempt_id
    rows = api.rows(
        "SELECT model, requested, parameters, request_digest, credits FROM restore_attempts ORDER BY created_at"
    )
    assert rows[0] == rows[1]
    prefixes = api.rows("SELECT DISTINCT output_prefix FROM restore_attempts")
    assert len(prefixes) == 2
    assert api.rows("SELECT held FROM credit_accounts") == [(4,)]


@pytest.mark.parametrize("by_job", [False, True])
async def test_pressed_twice_a_retry_is_one_attempt(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", *, by_job: bool
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await api.observe(attempt_id, status=FAILED)

    presses = [press(account, photo_id if by_job else attempt_id, "retry", 202) for _ in range(4)]
    told = await asyncio.gather(*presses)

    assert len({each["id"] for each in told}) == 1
    assert api.rows("SELECT count(*) FROM restore_attempts") == [(2,)]
    assert api.rows("SELECT held FROM credit_accounts") == [(2,)]


async def test_only_what_failed_or_was_cancelled_is_tried_again(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    attempt_id = await account.restore(await account.photo(photo_bytes()))
    assert (await press(account, attempt_id, "retry", 409))["code"] == "attempt_not_retryable"

    await api.complete(attempt_id)

    assert (await press(account, attempt_id, "retry", 409))["code"] == "attempt_not_retryable"


async def test_an_animation_is_tried_again_from_the_same_restoration(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    restore_id = await account.restore(photo_id)
    await api.complete(restore_id)
    animation_id = await account.animate(photo_id, restore_id, resolution="480p")
    await api.observe(animation_id, AnimationAttempt, status=FAILED)

    again = await press(account, animation_id, "retry", 202)

    assert api.rows("SELECT restore_id::text, requested FROM animation_attempts WHERE id = %s", again["id"]) == [
        (restore_id, {"resolution": "480p"})
    ]
    await api.observe(again["id"], AnimationAttempt, status=FAILED)
    api.rows("UPDATE animation_attempts SET restore_id = NULL")
    assert (await press(account, again["id"], "retry", 404))["code"] == "restore_not_found"


async def test_a_retry_is_paid_for_like_any_other_work(api: "Api", photo_bytes: "PhotoMaker") -> None:
    account = api.account(credits_=2)
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await api.observe(attempt_id, status=FAILED)
    await account.restore(photo_id, denoise=0.1)

    assert (await press(account, attempt_id, "retry", 402))["code"] == "insufficient_credits"


@pytest.mark.parametrize("button", ["cancel", "retry"])
async def test_the_attempts_of_others_do_not_exist(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", button: str
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    stranger = api.account()

    for identifier in (attempt_id, photo_id, str(uuid.uuid4())):
        assert (await press(stranger, identifier, button, 404))["code"] == "attempt_not_found"
    assert api.rows("SELECT status, cancel_requested_at FROM restore_attempts") == [("queued", None)]
