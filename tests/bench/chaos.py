"""Jobs under an operator that is killed again and again and an API server that is restarted; what must hold then."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import ClientError
from tests.bench.operating import Client, Json, Operator, engine, path, restore_job

from rekindle_crds import Label, Reason
from rekindle_dev.controlplane import ControlPlane

_LIFE = 2.0
"""Seconds for which an operator lives once it leads."""
_KINDS: Mapping[str, tuple[Json, Json, Reason, int]] = {
    "good": ({"IDLE_SECONDS": "3"}, {}, Reason.COMPLETED, 1),
    "unreadable": ({"IDLE_SECONDS": "2", "IDLE_EXIT_CODE": "11"}, {}, Reason.UNREADABLE_IMAGE, 1),
    "crashing": ({"IDLE_SECONDS": "1", "IDLE_EXIT_CODE": "1"}, {"backoffLimit": 1}, Reason.RETRIES_EXHAUSTED, 2),
    "endless": ({"IDLE_SECONDS": "3600"}, {}, Reason.CANCELLED, 1),
}
"""By the name of an Engine: what its pods do, what its jobs ask for, how they end, and the most attempts."""
_MIX = ("good",) * 7 + ("unreadable", "crashing", "endless")


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    seconds: float
    kills: int
    faults: tuple[str, ...]
    """A sentence for everything that must not be."""


async def run(plane: ControlPlane, namespace: str, jobs: int, *, restarts: int, patience: float = 900) -> Outcome:
    """Run jobs to their end while the operator is killed every 2 s and the API server is restarted.

    Args:
        plane: with a node for the pods of `engine`.
        namespace: fresh.
        jobs: how many; one in ten is cancelled, and two in ten fail.
        restarts: how often the API server is restarted, the first time after 10 s and then every 20 s.
        patience: seconds after which jobs that have not ended are given up.
    """
    began = time.perf_counter()
    async with Client.connect(plane) as client:
        for name, (environment, _, _, _) in _KINDS.items():
            await client.create(namespace, "engines", engine(name, **environment))
        await client.create_all(namespace, "restorejobs", map(_job, range(jobs)))
        done = asyncio.Event()
        killing = asyncio.create_task(_kill_again_and_again(plane, namespace, done))
        restarting = asyncio.create_task(_restart(plane, restarts))
        cancelling = asyncio.create_task(_cancel(client, namespace, jobs))
        ended = await _until_ended(client, namespace, patience)
        await asyncio.gather(restarting, cancelling)
        # What has ended must stay as it is, whatever an operator does that starts anew.
        await asyncio.sleep(3 * _LIFE)
        done.set()
        kills = await killing
        last = {job["metadata"]["name"]: job for job in await client.items(namespace, "restorejobs")}
        pods = await client.items(namespace, "pods")
        children = await client.items(namespace, "jobs")
    faults = [*_changed(ended, last), *_wrong(last, pods), *_left(last, pods, children)]
    return Outcome(time.perf_counter() - began, kills, tuple(faults))


def _kind(number: int) -> str:
    return _MIX[number % len(_MIX)]


def _job(number: int) -> Json:
    _, spec, _, _ = _KINDS[_kind(number)]
    return restore_job(number, engineName=_kind(number), **spec)


async def _kill_again_and_again(plane: ControlPlane, namespace: str, done: asyncio.Event) -> int:
    """Start operators one after another, each as the container of one pod would be, and return how many were killed."""
    for kills in itertools.count():
        operator = Operator(plane, namespace)
        operator.launch(identity="chaos")
        try:
            while operator.alive() and not operator.ready() and not await _within(0.05, done):
                pass
            await _within(_LIFE, done)
        finally:
            operator.kill()
        if done.is_set():
            return kills
    raise AssertionError("it counts for ever")


async def _within(seconds: float, done: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), seconds)
    return done.is_set()


async def _restart(plane: ControlPlane, restarts: int) -> None:
    for number in range(restarts):
        await asyncio.sleep(20 if number else 10)
        await asyncio.to_thread(plane.stop_component, "kube-apiserver")
        await asyncio.to_thread(plane.start_component, "kube-apiserver")


async def _cancel(client: Client, namespace: str, jobs: int) -> None:
    """Cancel the jobs that would not end, some before they run and some while they do."""
    for number in (number for number in range(jobs) if _kind(number) == "endless"):
        await asyncio.sleep(0.5)
        at = path(namespace, "restorejobs", _job(number)["metadata"]["name"])
        while True:
            with suppress(ClientError):
                await client.patch(at, {"spec": {"cancel": True}})
                break
            await asyncio.sleep(0.5)


async def _until_ended(client: Client, namespace: str, patience: float) -> dict[str, Json]:
    """Return every job's status as it was when it was first seen to have ended."""
    ended: dict[str, Json] = {}
    deadline = time.perf_counter() + patience
    while time.perf_counter() < deadline:
        with suppress(ClientError):
            jobs = await client.items(namespace, "restorejobs")
            for job in jobs:
                if job["status"].get("completionTime"):
                    ended.setdefault(job["metadata"]["name"], job["status"])
            if len(ended) == len(jobs):
                return ended
        await asyncio.sleep(1)
    return ended


def _changed(ended: Mapping[str, Json], last: Mapping[str, Json]) -> Iterator[str]:
    for name, job in last.items():
        if name not in ended:
            yield f"{name} has not ended: {job['status'].get('phase')} {job['status'].get('waiting')}"
        elif ended[name] != job["status"]:
            yield f"{name} changed after its end"


def _wrong(last: Mapping[str, Json], pods: list[Json]) -> Iterator[str]:
    """Compare reasons and attempts with what each kind of job must come to."""
    made = defaultdict(set)
    for pod in pods:
        made[pod["metadata"]["labels"][Label.JOB_UID]].add(pod["metadata"]["uid"])
    for name, job in last.items():
        _, _, wanted, most = _KINDS[job["spec"]["engineName"]]
        reasons = [c["reason"] for c in job["status"].get("conditions", []) if c["type"] == "Succeeded"]
        if reasons != [wanted]:
            yield f"{name} ended with {reasons} instead of {wanted}"
        attempts = [attempt["podUid"] for attempt in job["status"].get("attempts", [])]
        if len(attempts) > most or len(set(attempts)) < len(attempts):
            yield f"{name} has {len(attempts)} attempts instead of at most {most}"
        if not made[job["metadata"]["uid"]] <= set(attempts):
            yield f"{name} has a pod that is none of its attempts"


def _left(last: Mapping[str, Json], pods: list[Json], children: list[Json]) -> Iterator[str]:
    """Look for pods that still live, and for jobs with more than one child."""
    for pod in pods:
        if pod["status"]["phase"] not in {"Succeeded", "Failed"}:
            yield f"pod {pod['metadata']['name']} is left {pod['status']['phase']}"
    owners = [owner["uid"] for child in children for owner in child["metadata"]["ownerReferences"]]
    for name, job in last.items():
        if owners.count(job["metadata"]["uid"]) > 1:
            yield f"{name} has more than one child"
