"""What an operator costs at rest, and what the life of one job costs the API server."""

import asyncio
import time
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.operating import Client, Operator, engine, idle_node, restore_job, running_plane

from rekindle_dev.controlplane import ControlPlane, audit

_COUNT = 40
_REST_SECONDS = 20


def figures() -> Iterator[Figure]:
    """Measure the memory of an idle operator, and the writes of undisturbed jobs."""
    with running_plane() as plane, idle_node(plane, pods=_COUNT):
        resident, writes = asyncio.run(_measure(plane))
    yield Figure("operator at rest, resident memory", resident, "MB", 0, "none", "under 120 MB", resident < 120)
    yield Figure(
        "API writes for an undisturbed job of a second, audit log",
        writes,
        "writes",
        1,
        "bare Job's owner",
        "at most 6",
        writes <= 6,
    )


async def _measure(plane: ControlPlane) -> tuple[float, float]:
    plane.create_namespace("life")
    async with Client.connect(plane) as client:
        await client.create("life", "engines", engine(IDLE_SECONDS="1"))
        with Operator(plane, "life") as operator:
            await asyncio.sleep(_REST_SECONDS)
            resident = operator.load().resident / 1e6
            await client.create_all("life", "restorejobs", (restore_job(number) for number in range(_COUNT)))
            deadline = time.perf_counter() + 120
            while not all(job["status"].get("completionTime") for job in await client.items("life", "restorejobs")):
                if time.perf_counter() > deadline:
                    raise RuntimeError("jobs did not end in time")
                await asyncio.sleep(0.5)
            await asyncio.sleep(3)  # the last Events
    counted = audit.writes(plane.audit_log, "rekindle-operator", "life")
    ours = sum(count for (_, resource), count in counted.items() if resource not in {"leases", "engines/status"})
    return resident, ours / _COUNT
