"""What the requests of a gallery cost the web server, and how soon a restoration is accepted."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator
from unittest.mock import patch

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import event
from tests.bench.figures import Figure
from tests.bench.running import WebServer, photo_of, running_server, signed_in, upload

from rekindle_api.application import WebSettings, create_app

_PHOTOS = 20
_GALLERIES = 300
_RESTORATIONS = 120
_WARM_UPS = 10


def figures() -> Iterator[Figure]:
    """Measure galleries by the time of one core and by their statements, and restorations by the server's own time."""
    with running_server() as server, signed_in(server) as client:
        photos = [str(upload(client, photo_of(64, number)).json()["id"]) for number in range(_PHOTOS)]
        _complete(server, client, photos)
        yield _gallery(server, client)
        yield _statements(server, client)
        yield _restorations(server, client, photos)


def _complete(server: WebServer, client: httpx.Client, photos: list[str]) -> None:
    """Give each photo a result, as an owner of a gallery has."""
    for photo_id in photos:
        client.post(f"/api/v1/photos/{photo_id}/restore", json=_wish(39)).raise_for_status()
    with psycopg.connect(server.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE restore_attempts SET status = 'completed', finished_at = now(), manifest_key = output_prefix,"
            " result_key = output_prefix || '/result.jpg', preview_key = output_prefix || '/preview.webp',"
            " thumbnail_key = output_prefix || '/thumbnail.webp'"
        )


def _wish(denoise: int) -> dict[str, object]:
    return {"model": "classic", "params": {"denoise": 0.5 + denoise / 100, "megapixels": 1}}


def _gallery(server: WebServer, client: httpx.Client) -> Figure:
    empty = _rate(server.api.pid, lambda: client.get("/health").raise_for_status())
    value = _rate(server.api.pid, lambda: client.get("/api/v1/photos?limit=20").raise_for_status())
    return Figure(
        "gallery of 20 photos with signed URLs, on one core",
        value,
        "requests/s",
        empty,
        "an empty route",
        "at least 150",
        value >= 150,
    )


def _rate(pid: int, ask: Callable[[], object]) -> float:
    """Return how many requests one core answers in a second: by its own time, which other programs take nothing of."""
    for _ in range(20):
        ask()
    before = _own_seconds(pid)
    for _ in range(_GALLERIES):
        ask()
    return _GALLERIES / (_own_seconds(pid) - before)


def _statements(server: WebServer, client: httpx.Client) -> Figure:
    """Count what a gallery asks the database, in a web server of this process: its engine can be listened to."""
    settings = {
        "database_url": server.database_url,
        "s3_bucket": server.object_store.bucket,
        "s3_endpoint_url": server.object_store.endpoint_url,
        "supabase_url": server.issuer.url,
    }
    with patch.dict(os.environ, server.object_store.environment()):
        app = create_app(WebSettings.read(settings))
        one, all_ = asyncio.run(_counted(app, [f"/api/v1/photos?limit={limit}" for limit in (1, _PHOTOS)], client))
    return Figure(
        "gallery of 20 photos, SQL statements without BEGIN and COMMIT",
        all_,
        "",
        one,
        "one photo",
        "at most 3",
        all_ <= 3,
    )


async def _counted(app: FastAPI, paths: list[str], client: httpx.Client) -> list[int]:
    """Return how many statements each request takes, after one that is not counted."""
    counts, headers = [], {"Authorization": client.headers["Authorization"]}
    here = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=here, base_url="http://here", headers=headers) as http,
    ):
        (await http.get(paths[0])).raise_for_status()
        statements: list[str] = []
        event.listen(
            app.state.database._engine.sync_engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_: statements.append(statement),
        )
        for path in paths:
            statements.clear()
            (await http.get(path)).raise_for_status()
            counts.append(len(statements))
    return counts


def _restorations(server: WebServer, client: httpx.Client, photos: list[str]) -> Figure:
    """Measure them by the web server's own time; beside it, without a goal, by the clock with PostgreSQL's time."""
    wishes = [(photo_id, _wish(denoise)) for denoise in range(1, 38) for photo_id in photos][
        : _RESTORATIONS + _WARM_UPS
    ]
    own, spent = [], []
    for photo_id, wish in wishes:
        before, start = _own_seconds(server.api.pid), time.perf_counter()
        client.post(f"/api/v1/photos/{photo_id}/restore", json=wish).raise_for_status()
        spent.append(time.perf_counter() - start)
        own.append(_own_seconds(server.api.pid) - before)
    value, by_the_clock = (1000 * statistics.median(times[_WARM_UPS:]) for times in (own, spent))
    return Figure(
        "POST restore with its hold of credits, own time, median",
        value,
        "ms",
        by_the_clock,
        "by the clock",
        "under 15 ms",
        value < 15,
    )


def _own_seconds(pid: int) -> float:
    """Return the time that a process had on the processor: /proc counts it in steps as long as a request.

    References:
        clock_getcpuclockid(3), which Python does not have: the clock of a process, as Linux makes it from the id.
    """
    return time.clock_gettime((~pid << 3) | 2)
