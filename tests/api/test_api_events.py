"""Event streams: the state first, then what happens, over any number of streams and lost connections."""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.models import AttemptStatus, RestoreAttempt
from rekindle_api.attempts.repository import AttemptRepository

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, Soon, StartApi

pytestmark = pytest.mark.stack


async def test_a_stream_tells_the_state_then_progress_then_the_end(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        assert stream.reply.headers["content-type"].startswith("text/event-stream")
        first = await stream.next()
        assert (first.name, first.data) == ("snapshot", {"job_id": photo_id, "attempts": [], "animations": []})

        attempt_id = await account.restore(photo_id)
        queued = await stream.next()
        assert (queued.name, queued.data["restore_id"], queued.data["status"]) == ("progress", attempt_id, "queued")
        assert queued.id == f"{attempt_id}:1"

        await api.observe(attempt_id, status=AttemptStatus.PROCESSING, progress_percent=35, progress_stage="repair")
        running = await stream.next()
        assert (running.name, running.data["percent"], running.data["stage"]) == ("progress", 35, "repair")
        assert running.id == f"{attempt_id}:2"

        await api.complete(attempt_id)
        end = await stream.next()
        assert end.name == "completed"
        assert end.data == {
            "job_id": photo_id, "restore_id": attempt_id, "status": "completed", "reason": None, "message": None
        }  # fmt: skip


@pytest.mark.parametrize("status", [AttemptStatus.FAILED, AttemptStatus.CANCELLED])
async def test_an_attempt_without_a_result_ends_as_failed_with_its_reason(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", status: AttemptStatus
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    async with account.following(photo_id) as stream:
        assert (await stream.next()).data["attempts"][0]["status"] == "queued"

        await api.observe(attempt_id, status=status, reason="UnreadableImage", message="It is not an image.")

        end = await stream.next()
        assert (end.name, end.data["status"], end.data["reason"]) == ("completed", "failed", "UnreadableImage")


async def test_an_end_before_the_connection_is_replayed_once(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    await api.complete(attempt_id)

    async with account.following(photo_id) as stream:
        assert (await stream.next()).name == "snapshot"
        end = await stream.next()
        assert (end.name, end.data["restore_id"]) == ("completed", attempt_id)
        assert end.id is not None

    async with account.following(photo_id, **{"Last-Event-ID": end.id}) as stream:
        assert (await stream.next()).name == "snapshot"
        another = await account.restore(photo_id, denoise=0.9)
        assert (await stream.next()).data["restore_id"] == another


async def test_of_several_ends_the_last_is_replayed_whichever_began_first(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    slow, quick = await account.restore(photo_id), await account.restore(photo_id, denoise=0.9)
    await api.complete(quick)
    await api.complete(slow)

    async with account.following(photo_id, **{"Last-Event-ID": f"{quick}:2"}) as stream:
        assert (await stream.next()).name == "snapshot"
        assert (await stream.next()).data["restore_id"] == slow


async def test_an_earlier_end_is_not_replayed_while_another_attempt_runs(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    await api.complete(await account.restore(photo_id, denoise=0.5))
    running = await account.restore(photo_id, denoise=0.9)

    async with account.following(photo_id) as stream:
        snapshot = await stream.next()
        assert [item["status"] for item in snapshot.data["attempts"]] == ["completed", "queued"]
        await api.observe(running, status=AttemptStatus.PROCESSING, progress_percent=1)
        assert (await stream.next()).name == "progress"


async def test_many_streams_share_one_database_connection_and_all_get_the_end(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(account.following(photo_id)) for _ in range(60)]
        assert {(await stream.next()).name for stream in streams} == {"snapshot"}

        [[connections]] = api.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        # The pool's ten, the listener, and the one that asks.
        assert connections <= 12

        await api.complete(attempt_id)
        ends = await asyncio.gather(*(stream.next() for stream in streams))
        assert {(end.name, end.data["restore_id"]) for end in ends} == {("completed", attempt_id)}


async def test_a_stream_is_told_only_of_its_own_photo(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    followed, other = await account.photo(photo_bytes()), await account.photo(photo_bytes())
    async with account.following(followed) as stream:
        await stream.next()
        await api.complete(await account.restore(other))
        mine = await account.restore(followed)
        assert (await stream.next()).data["restore_id"] == mine


async def test_what_happened_while_the_listener_was_cut_off_is_told_when_it_is_back(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", soon: "Soon"
) -> None:
    photo_id = await account.photo(photo_bytes())
    attempt_id = await account.restore(photo_id)
    async with account.following(photo_id) as stream:
        await stream.next()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rekindle-api-events'"
        cut += " AND datname = current_database()"
        assert await soon(lambda: api.rows(cut)) == [(True,)]
        await api.complete(attempt_id)

        assert (await stream.next()).name == "completed"


async def test_one_photo_that_cannot_be_read_silences_no_other(
    account: "Account", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = await account.photo(photo_bytes()), await account.photo(photo_bytes())
    read = AttemptRepository.for_streams
    ill = True

    async def unforeseen(repository: AttemptRepository[RestoreAttempt], ids: Sequence[uuid.UUID]) -> list[Any]:
        if ill and uuid.UUID(broken) in ids:
            raise RuntimeError("a row that nobody foresaw")
        return await read(repository, ids)

    monkeypatch.setattr(AttemptRepository, "for_streams", unforeseen)
    async with account.following(broken) as silent, account.following(sound) as stream:
        assert (await stream.next()).name == "snapshot"
        attempt_id = await account.restore(sound)
        assert (await stream.next()).data["restore_id"] == attempt_id
        ill = False
        assert (await silent.next()).name == "snapshot"


async def test_a_stream_ends_after_its_time_and_a_new_one_tells_the_same(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    api = await start_api(stream_seconds=3)
    account = api.account()
    photo_id = await account.photo(photo_bytes())

    for _ in range(2):
        async with account.following(photo_id) as stream:
            assert (await stream.next()).name == "snapshot"
            assert await stream.ended()


async def test_a_server_that_stops_ends_its_streams(api: "Api", account: "Account", photo_bytes: "PhotoMaker") -> None:
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        await stream.next()
        api.server.should_exit = True
        assert await stream.ended()


async def test_a_stream_needs_a_token_and_a_photo(api: "Api", account: "Account") -> None:
    path = f"/api/v1/events/{uuid.uuid4()}"

    assert (await api.http.get(path)).status_code == 401
    assert (await account.http.get(path)).status_code == 404


async def test_pages_of_configured_origins_may_follow(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(cors_origins="http://localhost:3000, https://app.example")
    account = api.account()
    photo_id = await account.photo(photo_bytes())

    async with account.following(photo_id, Origin="https://app.example") as stream:
        assert stream.reply.headers["access-control-allow-origin"] == "https://app.example"
    async with account.following(photo_id, Origin="https://evil.example") as stream:
        assert "access-control-allow-origin" not in stream.reply.headers
    preflight = await api.http.options(
        f"/api/v1/events/{photo_id}",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "Authorization",
        },
    )
    assert preflight.status_code == 200
