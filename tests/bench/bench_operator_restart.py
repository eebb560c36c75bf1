"""The start of an operator beside ten thousand jobs that have ended."""

import asyncio
import time
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.operating import Client, Json, Operator, engine, idle_node, path, restore_job, running_plane

from rekindle_dev.controlplane import ControlPlane, audit

_COUNT = 10_000
_AFTERWARDS = 20
"""Seconds for which the operator is watched after it was ready."""


def figures() -> Iterator[Figure]:
    """Measure the time until an operator is ready, its memory and its writes."""
    with running_plane() as plane, idle_node(plane, pods=10):
        yield from asyncio.run(_measure(plane))


async def _measure(plane: ControlPlane) -> list[Figure]:
    for namespace in ("ended", "empty"):
        plane.create_namespace(namespace)
    async with Client.connect(plane) as client:
        await client.create("ended", "engines", engine(IDLE_SECONDS="0"))
        with Operator(plane, "ended") as operator:
            status = await _status_of_one_that_ended(client)
            operator.stop()
        await client.create_all("ended", "restorejobs", (restore_job(number) for number in range(1, _COUNT)))
        await client.at_once(_end(client, number, status) for number in range(1, _COUNT))
    empty = Operator(plane, "empty")
    baseline = empty.start()
    empty.kill()
    before = _writes(plane)
    operator = Operator(plane, "ended")
    ready = operator.start()
    highest, end = 0, time.perf_counter() + _AFTERWARDS
    while time.perf_counter() < end:
        highest = max(highest, operator.load().resident)
        await asyncio.sleep(0.2)
    operator.kill()
    resident, writes = highest / 1e6, _writes(plane) - before
    name = f"restart beside {_COUNT} ended jobs"
    return [
        Figure(f"{name}, until ready", ready, "s", baseline, "no jobs", "under 8 s", ready < 8),
        Figure(f"{name}, highest memory", resident, "MB", 0, "none", "under 180 MB", resident < 180),
        Figure(f"{name}, writes", writes, "writes", 0, "none", "none", writes == 0),
    ]


async def _status_of_one_that_ended(client: Client) -> Json:
    await client.create("ended", "restorejobs", restore_job(0))
    for _ in range(300):
        status: Json = (await client.items("ended", "restorejobs"))[0]["status"]
        if status.get("completionTime"):
            return status
        await asyncio.sleep(0.2)
    raise RuntimeError("the first job did not end")


async def _end(client: Client, number: int, status: Json) -> None:
    name = restore_job(number)["metadata"]["name"]
    await client.patch(path("ended", "restorejobs", name) + "/status", {"status": status})


def _writes(plane: ControlPlane) -> int:
    counted = audit.writes(plane.audit_log, "rekindle-operator", "ended")
    return sum(count for (_, resource), count in counted.items() if resource != "leases")
