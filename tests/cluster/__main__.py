"""`make e2e`: build the images, start a real node, install the chart twice, do what users and admins do. Needs root."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from httpx import HTTPError
from tests.cluster.journey import Journey, StepError

from rekindle_dev.cluster import requirements
from rekindle_dev.controlplane import BuildError
from rekindle_dev.controlplane.toolchain import ToolchainError
from rekindle_dev.helm import HelmError
from rekindle_dev.processes import PartError
from rekindle_dev.visitor import VisitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do every step; return the exit status: 0 when all hold, 1 when one does not."""
    options = _parser().parse_args(arguments)
    directory = options.directory or Path(tempfile.mkdtemp(prefix="rekindle-e2e-"))
    directory.mkdir(parents=True, exist_ok=True)
    journey = Journey(directory, say=lambda text: print(f"    {text}", flush=True))
    steps: list[Callable[[], None]] = [
        journey.build_images,
        journey.start_node,
        journey.install,
        journey.test_release,
        journey.restore_and_animate,
        journey.keep_apart,
        journey.kill_operator,
        journey.upgrade,
        journey.hold_policies,
        journey.sweep,
        journey.compare_rights,
        journey.develop,
        journey.uninstall,
    ]
    began = time.monotonic()
    try:
        requirements.check()
        for step in steps:
            _take(step)
    except (
        BuildError, HelmError, HTTPError, OSError, PartError, StepError, TimeoutExpired, ToolchainError, VisitError,
    ) as error:  # fmt: skip
        print(f"FAILED: {type(error).__name__}: {error}\nLogs are in {directory}", flush=True)
        if options.keep:
            input("The node is kept until Enter. ")
        return 1
    finally:
        journey.close()
    print(f"\nAll of it holds, in {(time.monotonic() - began) / 60:.1f} min. Logs are in {directory}")
    for name, figure in journey.figures.items():
        print(f"| {name} | {figure} |")
    return 0


def _take(step: Callable[[], None]) -> None:
    print(f"{step.__name__.replace('_', ' ')}: {step.__doc__}", flush=True)
    began = time.monotonic()
    step()
    print(f"    done in {time.monotonic() - began:.0f} s", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make e2e", description=__doc__)
    parser.add_argument("--directory", type=Path, help="where state and logs go (default: a new temporary folder)")
    parser.add_argument("--keep", action="store_true", help="when a step fails, keep the node until Enter is pressed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
