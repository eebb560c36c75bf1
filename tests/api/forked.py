"""The service's command in processes that need not import it anew: each is forked from one that did."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rekindle_api.cli import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["rekindle_api.server", "rekindle_api.bridge.program"])


def start(arguments: list[str], environment: dict[str, str], log: Path) -> ForkServerProcess:
    """Run `rekindle-api` with these arguments; what it prints is appended to `log`."""
    process = _FORKS.Process(target=_run, args=(arguments, environment, str(log)), daemon=True)
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with Path(log).open("ab") as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    sys.exit(main(arguments))
