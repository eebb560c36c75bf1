"""`make bench`: measure each room against a baseline of the same run, one line a figure."""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial

from tests.bench import (
    bench_api,
    bench_api_requests,
    bench_api_streams,
    bench_operator,
    bench_operator_burst,
    bench_operator_chaos,
    bench_operator_life,
    bench_operator_restart,
    bench_operator_steady,
    bench_worker,
)
from tests.bench.figures import HEADER, Figure

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "worker": bench_worker.figures,
    "api": bench_api.figures,
    "api-requests": bench_api_requests.figures,
    "api-streams": bench_api_streams.figures,
    "operator-start": bench_operator.figures,
    "operator-life": bench_operator_life.figures,
    "operator-burst": bench_operator_burst.figures,
    "operator-steady": bench_operator_steady.figures,
    "operator-restart": bench_operator_restart.figures,
    "operator-chaos": bench_operator_chaos.figures,
}
ROOMS = ("worker", "api", "operator")


def main() -> int:
    """Print every figure of the chosen rooms; the exit status is 0 whatever they say."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    named = dict.fromkeys([*ROOMS, *PARTS])
    parser.add_argument("parts", nargs="*", choices=[[], *named], help="rooms or parts; everything when left out")
    parser.add_argument("--chaos-runs", type=int, default=1, help="how often operator-chaos is done")
    given = parser.parse_args()
    chosen = given.parts or list(ROOMS)
    parts = PARTS | {"operator-chaos": partial(bench_operator_chaos.figures, given.chaos_runs)}
    print(HEADER)
    for part, figures in parts.items():
        if any(part == name or part.startswith(f"{name}-") for name in chosen):
            for figure in figures():
                print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
