"""Rate limits: counted for each user over all servers, told on every reply, and never in the way when they break."""

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from rekindle_api.rates.gcra import Allowance
from rekindle_api.settings import InvalidSettingsError, Rate, RateSettings, read

if TYPE_CHECKING:
    from tests.api.conftest import Api, PhotoMaker, StartApi

FIVE = Rate(5, "minute")


@pytest.mark.parametrize(
    ("ahead", "remaining", "full_after", "retry_after"),
    [(12, 4, 12, 1), (11.5, 4, 12, 1), (24, 3, 24, 1), (60, 0, 60, 12), (55, 0, 55, 7), (48.5, 0, 49, 1)],
)
def test_an_allowance_tells_what_is_left_and_when_more_comes(
    ahead: float, remaining: int, full_after: int, retry_after: int
) -> None:
    allowance = Allowance("sync", FIVE, allowed=True, ahead=timedelta(seconds=ahead))

    assert (allowance.remaining, allowance.full_after, allowance.retry_after) == (remaining, full_after, retry_after)


@pytest.mark.parametrize("given", ["5/minute", " 5/minute ", FIVE])
def test_a_rate_is_written_as_requests_per_time(given: object) -> None:
    rate = read(RateSettings, {"rate_upload": given}).of("upload")

    assert (rate, str(rate), rate.window, rate.step) == (FIVE, "5/minute", timedelta(minutes=1), timedelta(seconds=12))


@pytest.mark.parametrize("given", ["5", "0/minute", "5/fortnight", "-1/minute", "5/minute/hour", 5])
def test_what_is_no_rate_is_refused(given: object) -> None:
    with pytest.raises(InvalidSettingsError, match="RATE_SYNC"):
        read(RateSettings, {"rate_sync": given})


def test_rates_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_SYNC", "10/hour")

    assert read(RateSettings).of("sync") == Rate(10, "hour")


@pytest.mark.stack
async def test_replicas_count_a_users_requests_together(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    one, other = await start_api(rate_restore="5/hour"), await start_api(rate_restore="5/hour")
    account = one.account()
    photo = await account.photo(photo_bytes())
    twin = other.account(account.id)
    body = {"model": "classic", "params": {}}

    replies = await asyncio.gather(
        *(
            caller.http.post(f"/api/v1/photos/{photo}/restore", json=body)
            for caller in (account, twin)
            for _ in range(6)
        )
    )

    assert sorted(reply.status_code for reply in replies) == [202] * 5 + [429] * 7
    for reply in replies:
        assert reply.headers["ratelimit-policy"] == '"restore";q=5;w=3600'
        found = re.fullmatch(r'"restore";r=(\d);t=(\d+)', reply.headers["ratelimit"])
        assert found
        assert int(found[1]) < 5
        assert 0 < int(found[2]) <= 3600
        assert ("retry-after" in reply.headers) == (reply.status_code == 429)
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert 700 < int(refused.headers["retry-after"]) <= 720
    stranger = other.account()
    assert (await stranger.http.post(f"/api/v1/photos/{photo}/restore", json=body)).status_code == 404


@pytest.mark.stack
async def test_an_error_tells_the_allowance_too(api: "Api") -> None:
    reply = await api.account().http.post(f"/api/v1/photos/{'0' * 8}-0000-0000-0000-{'0' * 12}/restore", json={})

    assert reply.status_code == 404
    assert reply.headers["ratelimit"] == '"restore";r=119;t=1'


@pytest.mark.stack
async def test_an_allowance_comes_back_with_time(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(rate_upload="2/hour")
    account = api.account()
    replies = [await account.upload(photo_bytes()) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [201, 201, 429]

    api.rows("UPDATE rate_limits SET theoretical_arrival = theoretical_arrival - interval '30 minutes'")

    assert [(await account.upload(photo_bytes())).status_code for _ in range(2)] == [201, 429]


@pytest.mark.stack
async def test_a_form_and_its_completion_count_each(start_api: "StartApi") -> None:
    account = (await start_api(rate_upload="3/hour")).account()
    form = (await account.http.post("/api/v1/photos/presigned-upload", json={})).json()

    replies = [await account.http.post(f"/api/v1/photos/{form['photo_id']}/complete") for _ in range(3)]

    assert [reply.json()["code"] for reply in replies] == ["upload_missing", "upload_missing", "rate_limited"]


@pytest.mark.stack
async def test_requests_are_served_when_they_cannot_be_counted(
    api: "Api", photo_bytes: "PhotoMaker", caplog: pytest.LogCaptureFixture
) -> None:
    api.rows("DROP TABLE rate_limits")

    reply = await api.account().upload(photo_bytes())

    assert reply.status_code == 201
    assert "ratelimit" not in reply.headers
    assert "a request was not counted" in caplog.messages
