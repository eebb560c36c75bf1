"""What a thousand open event streams cost one process, and how soon all of them hear of an event."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psutil
from tests.bench.figures import Figure
from tests.bench.running import photo_of, running_stack, signed_in, upload

from rekindle_dev.stack import Stack

_STREAMS = 1000
_AT_ONCE = 50
_PATIENCE = 120.0


def figures() -> Iterator[Figure]:
    """Measure memory and database connections of idle streams, and the time until the last one has an event."""
    with running_stack() as stack, signed_in(stack) as client:
        photo_id = str(upload(client, photo_of(64, 1)).json()["id"])
        authorization = client.headers["Authorization"]
        yield from asyncio.run(_measured(stack, photo_id, authorization))


async def _measured(stack: Stack, photo_id: str, authorization: str) -> list[Figure]:
    process = psutil.Process(stack.api.pid)
    address = urlsplit(stack.api.url)
    request = (
        f"GET /api/v1/events/{photo_id} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {authorization}\r\n\r\n"
    )
    gate = asyncio.Semaphore(_AT_ONCE)
    streams: list[asyncio.StreamReader] = []
    writers: list[asyncio.StreamWriter] = []

    async def open_one() -> None:
        async with gate:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(request.encode())
            await reader.readuntil(b"event: snapshot")
            streams.append(reader)
            writers.append(writer)

    # The first few fill the pools and caches that any number of streams shares.
    await asyncio.gather(*(open_one() for _ in range(_AT_ONCE)))
    before, connections = process.memory_info().rss, _connections(process, stack)
    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*(open_one() for _ in range(_STREAMS)))
    growth = (process.memory_info().rss - before) / 1e6
    more = _connections(process, stack) - connections
    spread = await _spread(stack, photo_id, authorization, streams)
    for writer in writers:
        writer.close()
    return [
        Figure("1,000 idle event streams, growth of the API's memory", growth, "MB", before / 1e6, "before",
               "under 150 MB", growth < 150),
        Figure("1,000 idle event streams, further database connections", more, "", connections, "before", "none",
               more <= 0),
        Figure("an event reaches 1,000 streams", spread[-1], "s", spread[0], "the first of them", "under 1 s",
               spread[-1] < 1),
    ]  # fmt: skip


def _connections(process: psutil.Process, stack: Stack) -> int:
    port = urlsplit(stack.database_url).port
    return sum(bool(one.raddr) and one.raddr.port == port for one in process.net_connections("tcp"))


async def _spread(stack: Stack, photo_id: str, authorization: str, streams: list[asyncio.StreamReader]) -> list[float]:
    """Begin a restoration; return after how many seconds each stream told of it, the quickest first."""

    async def heard(reader: asyncio.StreamReader) -> float:
        await reader.readuntil(b"event: progress")
        return time.perf_counter()

    waiting = [asyncio.create_task(heard(reader)) for reader in streams]
    await asyncio.sleep(0)
    begun = time.perf_counter()
    await asyncio.to_thread(_restore, stack, photo_id, authorization)
    async with asyncio.timeout(_PATIENCE):
        return sorted(moment - begun for moment in await asyncio.gather(*waiting))


def _restore(stack: Stack, photo_id: str, authorization: str) -> None:
    address = f"{stack.api.url}/api/v1/photos/{photo_id}/restore"
    body = {"params": {"denoise": 0.7, "megapixels": 1}}
    httpx.post(address, json=body, headers={"Authorization": authorization}, timeout=_PATIENCE).raise_for_status()
