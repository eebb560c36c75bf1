"""`make bench`: measure each room against a baseline of the same run, one line a figure."""

import argparse
import sys
from collections.abc import Callable, Iterator

from tests.bench import bench_api, bench_operator, bench_worker
from tests.bench.figures import HEADER, Figure

ROOMS: dict[str, Callable[[], Iterator[Figure]]] = {
    "worker": bench_worker.figures,
    "api": bench_api.figures,
    "operator": bench_operator.figures,
}


def main() -> int:
    """Print every figure of the chosen rooms; the exit status is 0 whatever they say."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("rooms", nargs="*", choices=[[], *ROOMS], help="what to measure; everything when left out")
    chosen = parser.parse_args().rooms or list(ROOMS)
    print(HEADER)
    for room in chosen:
        for figure in ROOMS[room]():
            print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
