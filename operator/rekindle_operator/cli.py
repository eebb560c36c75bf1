"""The command `rekindle-operator`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from rekindle_operator import jsonlog
from rekindle_operator.cluster import ApiError, ClusterUnconfigured
from rekindle_operator.program import CannotStart, check, serve
from rekindle_operator.settings import Settings

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 it cannot run, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
    except ValidationError as error:
        print(f"rekindle-operator: settings are not valid: {error}", file=sys.stderr)
        return 2
    jsonlog.configure(settings.log_level)
    try:
        return asyncio.run(_check(settings)) if options.command == "check" else asyncio.run(_run(settings))
    except (CannotStart, ClusterUnconfigured, ApiError, OSError) as error:
        if options.command == "check":
            print(f"rekindle-operator: {error}", file=sys.stderr)
        else:
            logger.critical("operator cannot run", extra={"error": str(error)})
        return 1


async def _run(settings: Settings) -> int:
    await serve(settings)
    return 0


async def _check(settings: Settings) -> int:
    lacking = await check(settings)
    for sentence in lacking:
        print(f"missing: {sentence}")
    if not lacking:
        print("permissions and custom resources are in order")
    return 1 if lacking else 0


def _settings(options: argparse.Namespace) -> Settings:
    named = {"namespaces": tuple(options.namespace or ()), "kubeconfig": options.kubeconfig}
    return Settings(**{name: value for name, value in named.items() if value})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rekindle-operator", description="Runs Rekindle's jobs on Kubernetes.")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "run": "run the operator until SIGTERM; settings are environment variables REKINDLE_OPERATOR_*",
        "check": "say which permissions and CustomResourceDefinitions are missing, and exit",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--namespace", action="append", help="a namespace to serve; may be given several times")
        command.add_argument("--kubeconfig", type=Path, help="path of a kubeconfig")
    return parser
