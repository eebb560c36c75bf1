"""Polling that costs little: replies are tagged, and what a client has already is not sent again."""

from typing import TYPE_CHECKING

import pytest

from rekindle_api.attempts.models import AttemptStatus

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("still_clock")]


async def tag_of(account: "Account", path: str) -> str:
    reply = await account.http.get(path)
    assert reply.status_code == 200
    return reply.headers["etag"]


async def test_what_did_not_change_is_an_empty_304_until_it_changes(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    paths = [f"/api/v1/jobs/{photo_id}", f"/api/v1/photos/{photo_id}", f"/api/v1/processing/jobs/{attempt_id}/status"]

    for completed in (False, True):
        before = {path: await tag_of(account, path) for path in paths}
        for path, tag in before.items():
            for known in (tag, f'"another", {tag}', tag.removeprefix("W/")):
                reply = await account.http.get(path, headers={"If-None-Match": known})
                assert (reply.status_code, reply.content) == (304, b""), path
                assert reply.headers["etag"] == tag
                assert "content-type" not in reply.headers
        if completed:
            await api.complete(attempt_id)
        else:
            await api.observe(attempt_id, status=AttemptStatus.PROCESSING, progress_percent=35)
        for path, tag in before.items():
            reply = await account.http.get(path, headers={"If-None-Match": tag})
            assert reply.status_code == 200, path
            assert reply.headers["etag"] != tag


async def test_a_tag_does_not_depend_on_signatures_and_not_only_on_the_status(
    account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    path = f"/api/v1/photos/{photo_id}"
    first = await tag_of(account, path)
    assert await tag_of(account, path) == first

    await account.http.put(path, json={"metadata": {"note": "Leeds"}})

    assert await tag_of(account, path) != first


async def test_a_tag_of_one_user_says_nothing_to_another(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    tag = await tag_of(account, f"/api/v1/photos/{photo_id}")

    reply = await api.account().http.get(f"/api/v1/photos/{photo_id}", headers={"If-None-Match": tag})

    assert reply.status_code == 404


async def test_pages_of_configured_origins_may_poll(account: "Account", photo_bytes: "PhotoMaker") -> None:
    photo_id = await account.photo(photo_bytes())
    path = f"/api/v1/jobs/{photo_id}"
    origin = {"Origin": "http://localhost:3000"}

    preflight = await account.http.options(
        path,
        headers={
            **origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,if-none-match",
        },
    )
    reply = await account.http.get(path, headers={**origin, "If-None-Match": await tag_of(account, path)})

    assert preflight.status_code == 200
    assert reply.status_code == 304
    assert "ETag" in reply.headers["access-control-expose-headers"]
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"


@pytest.mark.parametrize("known", ["", "*", "W/", '"', '"\x80"', "x" * 5000])
async def test_a_tag_that_is_none_gets_the_reply(account: "Account", known: str) -> None:
    reply = await account.http.get("/api/v1/photos", headers=[(b"If-None-Match", known.encode("latin-1"))])

    assert reply.status_code == 200
