"""The real program: killed anywhere, it loses nothing and doubles nothing; asked to stop, it stops."""

import asyncio
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from rekindle_crds import Phase
from rekindle_dev.ports import free_ports

if TYPE_CHECKING:
    from tests.api.bridge.conftest import World

pytestmark = [pytest.mark.stack, pytest.mark.slow]


async def test_a_bridge_killed_again_and_again_loses_and_doubles_nothing(world: "World") -> None:
    attempts = [await world.restore() for _ in range(12)]
    ended: set[object] = set()
    process = world.start()
    for kill_after in (2, 6):

        async def enough(count: int = kill_after) -> bool:
            return len(await world.resources()) >= count

        await world.until(enough)
        process.send_signal(signal.SIGKILL)
        process.wait()
        made = {item["metadata"]["labels"]["rekindle.dev/attempt"] for item in await world.resources()}
        for attempt in attempts:
            if str(attempt.id) in made - ended:
                await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
                ended.add(str(attempt.id))
        process = world.start()
    for attempt in attempts:
        await world.created(attempt)
        if str(attempt.id) not in ended:
            await world.report(attempt, world.ended(Phase.SUCCEEDED, "Completed", result=world.result(attempt)))
        row = await world.seen(attempt, "completed")
        assert row.version == 2
        await world.carried_out(attempt)
    assert len(await world.resources()) == len(attempts)


async def test_it_stops_when_asked(world: "World") -> None:
    process = world.start()
    await world.created(await world.restore())
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0
    assert "bridge stopped" in world.said(process)


async def test_it_says_whether_it_is_well_and_what_it_did(world: "World") -> None:
    [port] = free_ports(1)
    world.start(BRIDGE_PORT=str(port), BRIDGE_CLAIM_SECONDS="60")
    attempt = await world.restore()
    await world.created(attempt)
    await world.report(attempt, world.ended(Phase.FAILED, "EngineError"))
    await world.seen(attempt, "failed")
    counted = {
        'rekindle_bridge_transitions_total{kind="restore",status="failed"} 1.0',
        'rekindle_bridge_orders_total{desired="create",kind="restore",outcome="done"} 1.0',
        "rekindle_bridge_outbox_entries 0.0",
    }
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:

        async def ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        async def told() -> bool:
            return counted <= set((await http.get("/metrics")).text.splitlines())

        await world.until(ready)
        assert (await http.get("/healthz")).status_code == 200
        await world.until(told)


async def test_without_a_way_to_kubernetes_it_says_so(world: "World") -> None:
    process = world.start(KUBECONFIG=str(world.directory / "none"))
    assert await asyncio.to_thread(process.wait, 60) == 2
    assert "Set KUBECONFIG" in world.said(process)
