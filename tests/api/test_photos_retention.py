"""Photos and results of a tier that keeps them for a time only: when they go, and when they must not."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.photos.expiry import Expired, expire
from rekindle_api.photos.retention import keep_everything

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = pytest.mark.stack
WEEK = timedelta(days=7)


@pytest.fixture
def sweep(api: "Api") -> Callable[[], Awaitable[Expired]]:
    """Do the pass."""

    async def do() -> Expired:
        state = api.app.state
        return await expire(state.database, state.plans)

    return do


Sweep = Callable[[], Awaitable[Expired]]


def age(api: "Api", days: float, *tables: str) -> None:
    """Let time pass for what has an end."""
    for table in tables or ("photos", "restore_attempts", "animation_attempts"):
        api.rows(f"UPDATE {table} SET expires_at = expires_at - interval '{days} days'")  # noqa: S608 - our own words


async def photo_of(account: "Account", photo_id: str) -> dict[str, Any]:
    reply = await account.http.get(f"/api/v1/photos/{photo_id}")
    return dict(reply.json()["photo"]) if reply.status_code == 200 else {}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_free_photo_tells_when_it_goes_and_then_goes_with_its_files(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    photo_id = await account.photo(photo_bytes())
    ends = moment((await photo_of(account, photo_id))["expires_at"])
    assert timedelta(0) <= datetime.now(UTC) + WEEK - ends < timedelta(minutes=1)

    age(api, 6.9)
    assert (await sweep()).photos == 0
    age(api, 0.2)
    assert (await sweep()).photos == 1

    assert await photo_of(account, photo_id) == {}
    assert (await account.http.get("/api/v1/photos")).json()["total"] == 0
    assert api.rows("SELECT actor_id, subject_id FROM audit_logs WHERE action = 'photo.expired'") == [
        (None, uuid.UUID(photo_id))
    ]
    assert (await sweep()).photos == 0


async def test_a_result_tells_when_it_goes_and_keeps_its_photo_until_then(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    photo_id = await account.photo(photo_bytes())
    age(api, 5)
    attempt_id = await account.restore(photo_id)
    age(api, 3, "photos")
    assert (await sweep()).photos == 0, "an attempt runs"

    await api.complete(attempt_id)

    photo = await photo_of(account, photo_id)
    [attempt] = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()["restore_attempts"]
    assert photo["expires_at"] == attempt["expires_at"]
    assert datetime.now(UTC) + WEEK - moment(attempt["expires_at"]) < timedelta(minutes=1)
    age(api, 7.1)
    swept = await sweep()
    assert (swept.photos, swept.attempts) == (1, 1)


async def test_a_result_goes_alone_when_its_photo_was_used_later(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id))
    age(api, 6)
    animation = await account.animate(photo_id)
    await api.complete_animation(animation)
    age(api, 1.1)

    swept = await sweep()

    assert (swept.photos, swept.attempts) == (0, 1)
    job = (await account.http.get(f"/api/v1/jobs/{photo_id}")).json()
    assert job["restore_attempts"] == []
    assert [item["id"] for item in job["animation_attempts"]] == [animation]


async def test_the_same_bytes_again_keep_a_photo_for_longer(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    content = photo_bytes()
    await account.photo(content)
    age(api, 6)

    again = await account.upload(content)

    assert datetime.now(UTC) + WEEK - moment(again.json()["expires_at"]) < timedelta(minutes=1)


async def test_what_is_made_under_a_paid_tier_is_kept_also_after_it_was_lost(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    await account.http.get("/api/v1/photos")
    api.rows("UPDATE users SET tier = 'remember'")
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id))
    api.rows("UPDATE users SET tier = 'free'")
    late = await account.restore(photo_id, denoise=0.5)
    await api.complete(late)
    age(api, 400)

    swept = await sweep()

    assert (swept.photos, swept.attempts) == (0, 1), "only what was made without paying"
    assert (await photo_of(account, photo_id))["expires_at"] is None


async def test_an_upgrade_lifts_every_time_also_of_what_runs(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id))
    running = await account.restore(photo_id, denoise=0.5)
    [[user_id]] = api.rows("UPDATE users SET tier = 'remember' RETURNING id")

    async with api.app.state.database.transaction() as session:
        await keep_everything(session, user_id)
    await api.complete(running)
    age(api, 400)

    assert api.rows("SELECT id FROM photos WHERE expires_at IS NOT NULL") == []
    assert api.rows("SELECT id FROM restore_attempts WHERE expires_at IS NOT NULL") == []
    assert await sweep() == Expired()


async def test_what_an_upgrade_passed_over_is_kept_by_the_sweep(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", sweep: Sweep
) -> None:
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id))
    age(api, 8)
    api.rows("UPDATE users SET tier = 'remember'")

    assert await sweep() == Expired()
    api.rows("UPDATE users SET tier = 'free'")
    assert await sweep() == Expired()
    assert (await photo_of(account, photo_id))["expires_at"] is None
