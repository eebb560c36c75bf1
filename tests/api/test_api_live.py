"""Tickets, heartbeats and several replicas: how streams are opened, kept and ended."""

import asyncio
import io
import logging
import time
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import psycopg
import pytest
from tests.api.conftest import Stream

from rekindle_api.attempts.models import AttemptStatus
from rekindle_api.database import Database
from rekindle_api.logs import configure
from rekindle_api.users.repository import UserRepository

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, Soon, StartApi

pytestmark = pytest.mark.stack
SECRET = "a-secret-of-the-tests-with-more-than-32-bytes"


async def ticket_for(account: "Account", photo_id: str) -> str:
    reply = await account.http.post("/api/v1/events/tickets", json={"photo_id": photo_id})
    assert reply.status_code == 200, reply.text
    assert set(reply.json()) == {"ticket", "expires_at"}
    return str(reply.json()["ticket"])


@asynccontextmanager
async def following_by_ticket(api: "Api", photo_id: str, ticket: str) -> AsyncIterator[Stream]:
    async with api.http.stream("GET", f"/api/v1/events/{photo_id}", params={"ticket": ticket}) as reply:
        assert reply.status_code == 200
        yield Stream(reply)


async def refusal(api: "Api", photo_id: str, ticket: str, **headers: str) -> tuple[int, str]:
    reply = await api.http.get(f"/api/v1/events/{photo_id}", params={"ticket": ticket}, headers=headers)
    return reply.status_code, reply.json()["code"]


async def test_a_ticket_opens_the_streams_of_its_photo_any_number_of_times(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())
    ticket = await ticket_for(account, photo_id)

    for _ in range(2):
        async with following_by_ticket(api, photo_id, ticket) as stream:
            assert (await stream.next()).name == "snapshot"


async def test_a_ticket_of_one_replica_is_good_at_another_and_every_replica_tells_the_same(
    start_api: "StartApi", photo_bytes: "PhotoMaker"
) -> None:
    one, other = await start_api(ticket_secret=SECRET), await start_api(ticket_secret=SECRET)
    account = one.account()
    photo_id = await account.photo(photo_bytes())
    ticket = await ticket_for(account, photo_id)

    async with (
        following_by_ticket(one, photo_id, ticket) as here,
        following_by_ticket(other, photo_id, ticket) as there,
    ):
        assert (await here.next()).name == (await there.next()).name == "snapshot"
        attempt_id = await account.restore(photo_id)
        assert [(await stream.next()).data["status"] for stream in (here, there)] == ["queued"] * 2
        await other.observe(attempt_id, status=AttemptStatus.PROCESSING, progress_percent=35)
        assert await here.next() == await there.next()
        await one.complete(attempt_id)
        ends = [await stream.next() for stream in (here, there)]
        assert [end.name for end in ends] == ["completed"] * 2

    headers = {"Last-Event-ID": ends[0].id or ""}
    async with other.http.stream(
        "GET", f"/api/v1/events/{photo_id}", params={"ticket": ticket}, headers=headers
    ) as reply:
        stream = Stream(reply)
        assert (await stream.next()).name == "snapshot"
        another = await account.restore(photo_id, denoise=0.9)
        assert (await stream.next()).data["restore_id"] == another


async def test_a_ticket_ends_with_the_token_that_it_was_got_with(api: "Api", photo_bytes: "PhotoMaker") -> None:
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    reply = await account.http.post("/api/v1/events/tickets", json={"photo_id": photo_id})
    ends = jwt.decode(account.token, options={"verify_signature": False})["exp"]

    claims = jwt.decode(reply.json()["ticket"], options={"verify_signature": False})

    assert claims["exp"] == ends
    assert reply.json()["expires_at"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ends)))


async def test_a_ticket_opens_nothing_else(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(ticket_secret=SECRET)
    account = api.account()
    photo_id, other = await account.photo(photo_bytes()), await account.photo(photo_bytes())
    ticket = await ticket_for(account, photo_id)
    claims = jwt.decode(ticket, options={"verify_signature": False})
    forged = {
        "another secret": jwt.encode(claims, "x" * 40, "HS256"),
        "over": jwt.encode(claims | {"exp": int(time.time()) - 1}, SECRET, "HS256"),
        "without an end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, SECRET, "HS256"),
        "another purpose": jwt.encode(claims | {"aud": "authenticated"}, SECRET, "HS256"),
        "of nobody": jwt.encode(claims | {"sub": str(uuid.uuid4())}, SECRET, "HS256"),
        "no id": jwt.encode(claims | {"sub": "root"}, SECRET, "HS256"),
        "unsigned": jwt.encode(claims, "", "none"),
        "an access token": account.token,
        "nothing": "",
    }

    assert await refusal(api, other, ticket) == (401, "invalid_ticket")
    for name, value in forged.items():
        assert await refusal(api, photo_id, value) == (401, "invalid_ticket"), name
    assert await refusal(api, photo_id, ticket, Authorization="Bearer nonsense") == (401, "invalid_token")
    for path in ("/api/v1/photos", f"/api/v1/events/{photo_id}"):
        reply = await api.http.get(path, headers={"Authorization": f"Bearer {ticket}"})
        assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")
    reply = await api.http.get(f"/api/v1/photos/{photo_id}", params={"ticket": ticket})
    assert (reply.status_code, reply.json()["code"]) == (401, "missing_token")


async def test_nobody_gets_a_ticket_for_the_photo_of_another(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker"
) -> None:
    photo_id = await account.photo(photo_bytes())

    reply = await api.account().http.post("/api/v1/events/tickets", json={"photo_id": photo_id})

    assert (reply.status_code, reply.json()["code"]) == (404, "photo_not_found")


async def test_streams_show_that_they_live(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(heartbeat_seconds=0.1)
    account = api.account()
    photo_id = await account.photo(photo_bytes())

    async with account.http.stream("GET", f"/api/v1/events/{photo_id}") as reply, asyncio.timeout(20):
        beats = 0
        async for line in reply.aiter_lines():
            beats += line == ": heartbeat"
            if beats == 3:
                break


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET status = 'suspended' WHERE supabase_user_id = %s",
        "UPDATE users SET status = 'deleted' WHERE supabase_user_id = %s",
        "UPDATE users SET banned_until = now() + '1 hour' WHERE supabase_user_id = %s",
    ],
    ids=["suspended", "deleted", "banned"],
)
async def test_the_streams_of_a_closed_account_end_at_the_next_heartbeat_and_no_other(
    start_api: "StartApi", photo_bytes: "PhotoMaker", change: str
) -> None:
    api = await start_api(heartbeat_seconds=0.2)
    closed, going = api.account(), api.account()
    theirs, mine = await closed.photo(photo_bytes()), await going.photo(photo_bytes())
    ticket = await ticket_for(closed, theirs)
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(closed.following(theirs)),
            await stack.enter_async_context(following_by_ticket(api, theirs, ticket)),
        ]
        other = await stack.enter_async_context(going.following(mine))
        for stream in (*streams, other):
            assert (await stream.next()).name == "snapshot"

        api.rows(change, closed.id)

        assert [await stream.ended() for stream in streams] == [True, True]
        attempt_id = await going.restore(mine)
        assert (await other.next()).data["restore_id"] == attempt_id
    reply = await api.http.get(f"/api/v1/events/{theirs}", params={"ticket": ticket})
    assert reply.status_code == 403


async def test_one_query_looks_after_every_reader_of_a_process(
    start_api: "StartApi", photo_bytes: "PhotoMaker", soon: "Soon", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    active_among = UserRepository.active_among

    async def counted(repository: UserRepository, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        asked.append(len(ids))
        return await active_among(repository, ids)

    monkeypatch.setattr(UserRepository, "active_among", counted)
    api = await start_api(heartbeat_seconds=0.5)
    async with AsyncExitStack() as stack:
        streams = []  # a stream that nobody holds is closed by the garbage collector
        for account in (api.account(), api.account()):
            photo_id = await account.photo(photo_bytes())
            for _ in range(5):
                streams.append(await stack.enter_async_context(account.following(photo_id)))
                await streams[-1].next()
        asked.clear()
        await soon(lambda: len(asked) >= 2)

    assert asked[:2] == [2, 2]


async def test_a_check_of_the_accounts_that_breaks_off_is_made_again_at_the_next_heartbeat(
    start_api: "StartApi", photo_bytes: "PhotoMaker", soon: "Soon", monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[int] = []
    active_among = UserRepository.active_among

    async def breaking(repository: UserRepository, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        if not broken:
            broken.append(len(ids))
            raise RuntimeError("nobody thought of this")
        return await active_among(repository, ids)

    monkeypatch.setattr(UserRepository, "active_among", breaking)
    api = await start_api(heartbeat_seconds=0.1)
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        assert (await stream.next()).name == "snapshot"
        await soon(lambda: broken)

        api.rows("UPDATE users SET status = 'suspended' WHERE supabase_user_id = %s", account.id)

        assert await stream.ended()


async def test_a_listener_that_breaks_off_listens_again(
    start_api: "StartApi", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[str] = []
    connect = Database.connect

    async def breaking(database: Database, name: str) -> psycopg.AsyncConnection[Any]:
        if not broken:
            broken.append(name)
            raise RuntimeError("nobody thought of this")
        return await connect(database, name)

    monkeypatch.setattr(Database, "connect", breaking)
    api = await start_api()
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        assert (await stream.next()).name == "snapshot"
        attempt_id = await account.restore(photo_id)
        assert (await stream.next()).data["restore_id"] == attempt_id
    assert broken == ["rekindle-api-events"]


async def test_a_user_gets_so_many_tickets_a_minute(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(rate_tickets="2/minute")
    account = api.account()
    photo_id = await account.photo(photo_bytes())

    replies = [await account.http.post("/api/v1/events/tickets", json={"photo_id": photo_id}) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert int(replies[2].headers["retry-after"]) > 0


async def test_a_stream_ends_with_its_token(api: "Api", photo_bytes: "PhotoMaker") -> None:
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    token = api.issuer.access_token(account.id, exp=int(time.time()) + 6)

    async with account.following(photo_id, Authorization=f"Bearer {token}") as stream:
        assert (await stream.next()).name == "snapshot"
        assert await stream.ended()


async def test_a_stream_whose_reader_left_is_forgotten(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", soon: "Soon"
) -> None:
    photo_id = await account.photo(photo_bytes())
    async with account.following(photo_id) as stream:
        await stream.next()
        assert api.app.state.feed.open_streams == 1

    await soon(lambda: api.app.state.feed.open_streams == 0)


async def test_streams_take_no_database_connection_each(start_api: "StartApi", photo_bytes: "PhotoMaker") -> None:
    api = await start_api(heartbeat_seconds=0.1)
    account = api.account()
    photo_id = await account.photo(photo_bytes())
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=api.url, headers=account.http.headers, limits=limits, timeout=60) as http,
        AsyncExitStack() as stack,
    ):
        for _ in range(200):
            reply = await stack.enter_async_context(http.stream("GET", f"/api/v1/events/{photo_id}"))
            assert (await Stream(reply).next()).name == "snapshot"
        [[connections]] = api.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        # The pool's ten, the listener, and the one that asks.
        assert connections <= 12


async def test_a_ticket_is_not_logged(
    api: "Api", account: "Account", photo_bytes: "PhotoMaker", monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_id = await account.photo(photo_bytes())
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    configure("DEBUG", stream)
    ticket = await ticket_for(account, photo_id)
    async with following_by_ticket(api, photo_id, ticket) as events:
        await events.next()
    await refusal(api, str(uuid.uuid4()), ticket)
    root.setLevel(level)

    requests = [line for line in stream.getvalue().splitlines() if "rekindle_api.request" in line]
    assert requests
    assert ticket not in "".join(requests)
    for line in stream.getvalue().splitlines():
        assert "rekindle_api" not in line or ticket not in line


async def test_a_page_of_another_origin_can_read_why_its_stream_was_refused(api: "Api") -> None:
    reply = await api.http.get(
        f"/api/v1/events/{uuid.uuid4()}", params={"ticket": "x"}, headers={"Origin": "http://localhost:3000"}
    )

    assert reply.status_code == 401
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
