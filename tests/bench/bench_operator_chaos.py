"""Jobs under an operator that is killed every two seconds, and an API server that is restarted twice."""

import asyncio
import sys
from collections.abc import Iterator

from tests.bench import chaos
from tests.bench.figures import Figure
from tests.bench.operating import idle_node, running_plane

_JOBS = 300


def figures(runs: int = 1) -> Iterator[Figure]:
    """Count what must not be, on a new control plane in each run: wrong ends, pods and attempts too many."""
    for number in range(1, runs + 1):
        with running_plane() as plane, idle_node(plane, pods=2 * _JOBS):
            plane.create_namespace("chaos")
            outcome = asyncio.run(chaos.run(plane, "chaos", _JOBS, restarts=2))
        for fault in outcome.faults:
            print(fault, file=sys.stderr)
        count = len(outcome.faults)
        name = f"chaos {number} of {runs}: {_JOBS} jobs, {outcome.kills} kills, {outcome.seconds:.0f} s"
        yield Figure(name, count, "faults", 0, "none", "none", holds=not outcome.faults)
