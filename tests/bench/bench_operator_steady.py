"""A thousand jobs that run for long: what it costs to follow their progress."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping

from tests.bench.figures import Figure
from tests.bench.operating import Client, Operator, engine, idle_node, restore_job, running_plane

from rekindle_dev.controlplane import ControlPlane

_COUNT = 1000
_WINDOW = 60
_PATIENCE = 600
_BUCKET = re.compile(r'rekindle_reconcile_seconds_bucket\{.*?le="([^"]+)".*?\}')


def figures() -> Iterator[Figure]:
    """Measure requests, latency, CPU and memory while all jobs run."""
    with running_plane() as plane, idle_node(plane, pods=_COUNT):
        yield from asyncio.run(_measure(plane))


async def _measure(plane: ControlPlane) -> list[Figure]:
    plane.create_namespace("steady")
    async with Client.connect(plane) as client:
        await client.create("steady", "engines", engine(IDLE_SECONDS="3600"))
        with Operator(plane, "steady") as operator:
            await client.create_all("steady", "restorejobs", (restore_job(number) for number in range(_COUNT)))
            await _until_running(operator)
            first, load = operator.metrics(), operator.load()
            await asyncio.sleep(_WINDOW)
            last, later = operator.metrics(), operator.load()
    seconds = later.moment - load.moment
    requests = (_requests(last) - _requests(first)) / seconds
    busy = 100 * (later.cpu_seconds - load.cpu_seconds) / seconds
    slowest = _percentile(first, last, 0.99)
    name = f"{_COUNT} running jobs"
    return [
        Figure(f"{name}, API requests", requests, "/s", 20, "budget", "under 25 /s", requests < 25),
        Figure(f"{name}, reconcile p99 below", slowest, "s", 0, "none", "under 1 s", slowest <= 1),
        Figure(f"{name}, one core busy", busy, "%", 0, "none", "at most 30 %", busy <= 30),
        Figure(f"{name}, resident memory", later.resident / 1e6, "MB", 0, "none", "measured", holds=True),
    ]


async def _until_running(operator: Operator) -> None:
    deadline = time.perf_counter() + _PATIENCE
    running = 'rekindle_jobs{kind="RestoreJob",phase="Running"}'
    while (found := operator.metrics().get(running, 0)) < _COUNT:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"only {found} of {_COUNT} jobs run after {_PATIENCE} s")
        await asyncio.sleep(1)
    await asyncio.sleep(10)


def _requests(samples: Mapping[str, float]) -> float:
    return sum(value for name, value in samples.items() if name.startswith("rekindle_api_requests_total"))


def _percentile(first: Mapping[str, float], last: Mapping[str, float], share: float) -> float:
    """Return the upper bound of the bucket below which the share of what was observed in between lies."""
    counts = {
        float(found[1]): value - first.get(name, 0.0) for name, value in last.items() if (found := _BUCKET.match(name))
    }
    wanted = share * counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= wanted)
