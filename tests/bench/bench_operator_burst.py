"""A burst of RestoreJobs, until the last child Job is created, against as many bare Jobs of the same pod template."""

import asyncio
import time
from collections.abc import Iterator

from tests.bench.figures import Figure
from tests.bench.operating import Client, Json, Operator, engine, restore_job, running_plane

from rekindle_dev.controlplane import ControlPlane

_COUNT = 1000
_WARM_UP = 50
_LABELS_OF_THE_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)


def figures() -> Iterator[Figure]:
    """Measure the ratio and the rate of a burst."""
    with running_plane() as plane:
        bare, through = asyncio.run(_measure(plane))
    name = f"burst of {_COUNT} RestoreJobs to the last child Job"
    yield Figure(name, through, "s", bare, "bare Jobs", "at most 3x", through <= 3 * bare)
    rate = _COUNT / through
    yield Figure(f"{name}, rate", rate, "/s", _COUNT / bare, "bare Jobs", "at least 60 /s", rate >= 60)


async def _measure(plane: ControlPlane) -> tuple[float, float]:
    """Return the seconds for bare Jobs, the mean of before and after, and those for RestoreJobs."""
    plane.create_namespace("bare")
    plane.create_namespace("burst")
    async with Client.connect(plane) as client:
        await client.create("burst", "engines", engine())
        with Operator(plane, "burst"):
            await client.create_all(
                "burst", "restorejobs", (restore_job(-number - 1 + 2**64) for number in range(_WARM_UP))
            )
            await client.created("burst", "jobs", _WARM_UP)
            spec = _bare_spec((await client.items("burst", "jobs"))[0])
            await _bare(client, spec, "warm", _WARM_UP)
            before = await _bare(client, spec, "before", _COUNT)
            await client.created("bare", "pods", _WARM_UP + _COUNT)
            last = asyncio.create_task(client.created("burst", "jobs", _WARM_UP + _COUNT))
            began = time.perf_counter()
            await client.create_all("burst", "restorejobs", (restore_job(number) for number in range(_COUNT)))
            through = await last - began
            await client.created("burst", "pods", _WARM_UP + _COUNT)
            after = await _bare(client, spec, "after", _COUNT)
    return (before + after) / 2, through


async def _bare(client: Client, spec: Json, name: str, count: int) -> float:
    jobs = (
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"{name}-{number}"}, "spec": spec}
        for number in range(count)
    )
    return await client.create_all("bare", "jobs", jobs)


def _bare_spec(child: Json) -> Json:
    """Return the specification of a child Job as somebody would write it."""
    spec: Json = child["spec"]
    del spec["selector"]
    for label in _LABELS_OF_THE_CONTROLLER:
        spec["template"]["metadata"]["labels"].pop(label, None)
    return spec
