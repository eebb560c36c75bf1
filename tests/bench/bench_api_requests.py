"""What the requests of a gallery cost the web server, and how soon a restoration is accepted."""

import statistics
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import psycopg
from tests.bench.figures import Figure
from tests.bench.running import WebServer, photo_of, running_server, signed_in, upload

_PHOTOS = 20
_GALLERIES = 300
_RESTORATIONS = 120


def figures() -> Iterator[Figure]:
    """Measure galleries by the time of one core, their statements, and restorations by the clock."""
    with running_server() as server, signed_in(server) as client:
        photos = [str(upload(client, photo_of(64, number)).json()["id"]) for number in range(_PHOTOS)]
        _complete(server, client, photos)
        yield from _gallery(server, client)
        yield from _restorations(server, client, photos)


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


def _gallery(server: WebServer, client: httpx.Client) -> Iterator[Figure]:
    process = psutil.Process(server.api.pid)
    empty = _rate(process, lambda: client.get("/health").raise_for_status())
    value = _rate(process, lambda: client.get("/api/v1/photos?limit=20").raise_for_status())
    yield Figure(
        "gallery of 20 photos with signed URLs, on one core",
        value,
        "requests/s",
        empty,
        "an empty route",
        "at least 150",
        value >= 150,
    )


def _rate(process: psutil.Process, ask: Callable[[], object]) -> float:
    """Return how many requests one core answers in a second: by its own time, which other programs take nothing of."""
    for _ in range(20):
        ask()
    before = process.cpu_times()
    for _ in range(_GALLERIES):
        ask()
    after = process.cpu_times()
    return _GALLERIES / (after.user + after.system - before.user - before.system)


def _restorations(server: WebServer, client: httpx.Client, photos: list[str]) -> Iterator[Figure]:
    """Measure them by the clock, PostgreSQL's time included, and by the web server's own time on the processor."""
    process = psutil.Process(server.api.pid)
    wishes = [(photo_id, _wish(denoise)) for denoise in range(1, 38) for photo_id in photos][: _RESTORATIONS + 10]
    spent, empty, own = [], [], 0.0
    for photo_id, wish in wishes:
        start = time.perf_counter()
        client.get("/health").raise_for_status()
        empty.append(time.perf_counter() - start)
        before, start = process.cpu_times(), time.perf_counter()
        client.post(f"/api/v1/photos/{photo_id}/restore", json=wish).raise_for_status()
        spent.append(time.perf_counter() - start)
        after = process.cpu_times()
        own += after.user + after.system - before.user - before.system
    value, baseline = (1000 * statistics.median(times[10:]) for times in (spent, empty))
    yield Figure(
        "POST restore with its hold of credits, median by the clock",
        value,
        "ms",
        baseline,
        "an empty route",
        "measured apart",
        holds=True,
    )
    own_milliseconds = 1000 * own / len(wishes)
    yield Figure(
        "POST restore with its hold of credits, the web server's own time, mean",
        own_milliseconds,
        "ms",
        value,
        "by the clock",
        "under 15 ms",
        own_milliseconds < 15,
    )
