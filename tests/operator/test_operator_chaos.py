"""An operator that is killed again and again, and an API server that is restarted under it."""

import asyncio
from typing import Any

import pytest
from tests.bench import chaos
from tests.bench.operating import idle_node

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_every_job_ends_once_and_rightly_whoever_is_killed(control_plane: Any, namespace: str) -> None:
    jobs = 40
    with idle_node(control_plane, pods=2 * jobs):
        outcome = asyncio.run(chaos.run(control_plane, namespace, jobs, restarts=1, patience=400))

    assert outcome.faults == ()
    assert outcome.kills > 1
