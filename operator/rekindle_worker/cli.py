"""The command rekindle-worker: `run` in pods, `restore` and `animate` on local files, `conformance` of engines."""

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from rekindle_crds import AnimationParameters, RestoreParameters
from rekindle_crds.task import TASK_VARIABLE
from rekindle_worker import PROGRAM
from rekindle_worker.failure import WorkFailed
from rekindle_worker.options import add_parameters, given_parameters
from rekindle_worker.stop import Stop
from rekindle_worker.threads import available_processors

if TYPE_CHECKING:
    from rekindle_worker.imaging.decode import Limits
    from rekindle_worker.local import LocalTask


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given and TASK_VARIABLE in os.environ:
        given = ["run"]
    options = _parser().parse_args(given)
    stop = Stop()
    stop.listen()
    code: int = options.do(options, stop)
    return code


def _run(options: argparse.Namespace, stop: Stop) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="level=%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    _bound_libraries()
    from rekindle_worker.imaging.decode import Limits  # noqa: PLC0415 - after SIGTERM is heard: these imports take a second
    from rekindle_worker.run import Run  # noqa: PLC0415 - as above

    limits = Limits(pixels=options.limit_megapixels * 1_000_000, bytes=options.limit_megabytes * 1_000_000)
    return Run(stop, limits, options.threads, os.environ)()


def _restore(options: argparse.Namespace, stop: Stop) -> int:
    _bound_libraries()
    from rekindle_worker.local import restore_file  # noqa: PLC0415 - so that --help answers at once

    return _locally(restore_file, options, RestoreParameters, stop)


def _animate(options: argparse.Namespace, stop: Stop) -> int:
    _bound_libraries()
    from rekindle_worker.local import animate_file  # noqa: PLC0415 - so that --help answers at once

    return _locally(animate_file, options, AnimationParameters, stop)


def _conformance(options: argparse.Namespace, stop: Stop) -> int:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - so that --help answers at once

    from rekindle_crds import Operation  # noqa: PLC0415 - as above
    from rekindle_worker.conformance.checks import examine  # noqa: PLC0415 - as above
    from rekindle_worker.conformance.trial import Trial  # noqa: PLC0415 - as above
    from rekindle_worker.storage import s3_client  # noqa: PLC0415 - as above

    prefix = f"{options.prefix}/{secrets.token_hex(4)}"
    trial = Trial(options.engine, s3_client(), options.bucket, Operation(options.operation), prefix)
    wrong = False
    try:
        for sentence, complaints in examine(trial):
            print(
                "\n".join([f"{'FAIL' if complaints else 'ok  '} {sentence}", *(f"     {each}" for each in complaints)])
            )
            wrong = wrong or bool(complaints)
            stop.check()
    except WorkFailed as failure:
        return failure.code
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"rekindle-worker: {error}", file=sys.stderr)
        return 2
    return 1 if wrong else 0


def _locally(
    work: Callable[["LocalTask", Stop, "Limits", int], None],
    options: argparse.Namespace,
    model: type[BaseModel],
    stop: Stop,
) -> int:
    from rekindle_worker.imaging.decode import Limits  # noqa: PLC0415 - so that --help answers at once
    from rekindle_worker.local import LocalTask  # noqa: PLC0415 - as above

    limits = Limits(pixels=options.limit_megapixels * 1_000_000, bytes=options.limit_megabytes * 1_000_000)
    parameters = given_parameters(options, model)
    task = LocalTask(options.source, options.target, options.report, parameters, options.quiet)
    try:
        work(task, stop, limits, options.threads)
    except WorkFailed as failure:
        print(f"rekindle-worker: {failure.message}", file=sys.stderr)
        return failure.code
    return 0


def _bound_libraries() -> None:
    """Keep numeric libraries from starting a thread per processor of the node; tiles are what runs in parallel here."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rekindle-worker",
        description="Restore old photos (scratches, dust, noise, faded tones), and animate photos.",
    )
    parser.add_argument("--version", action="version", version=PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="do the task of a processing pod",
        description=f"Do the task in the environment variable {TASK_VARIABLE}; docs/engines.md describes the contract.",
    )
    run.set_defaults(do=_run)
    restore = commands.add_parser(
        "restore", help="restore a photo on the local disk", description="Restore one photo on the local disk."
    )
    restore.set_defaults(do=_restore)
    restore.add_argument("source", type=Path, metavar="IN", help=_SOURCE_HELP)
    restore.add_argument("target", type=Path, metavar="OUT", help="file to write; its suffix chooses the format")
    add_parameters(restore, RestoreParameters, "what to do to the photo")
    animate = commands.add_parser(
        "animate", help="animate a photo on the local disk", description="Make a short video of one photo."
    )
    animate.set_defaults(do=_animate)
    animate.add_argument("source", type=Path, metavar="IN", help=_SOURCE_HELP)
    animate.add_argument("target", type=Path, metavar="OUT", help="video to write, an .mp4 file")
    add_parameters(animate, AnimationParameters, "what the video should be like")
    _add_conformance(commands)
    for command in (restore, animate):
        command.add_argument("--report", type=Path, metavar="FILE", help="write the steps that were done as JSON")
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    for command in (run, restore, animate):
        _add_limits(command)
    return parser


def _add_conformance(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    conformance = commands.add_parser(
        "conformance",
        help="test whether another engine keeps the contract",
        description="Run an engine on photos in S3 and look at what it does; docs/engines.md is the measure. "
        "Endpoint and credentials come from the environment, here as for the engine.",
    )
    conformance.set_defaults(do=_conformance)
    conformance.add_argument("engine", nargs="+", metavar="COMMAND", help="command of the engine with its arguments")
    conformance.add_argument("--bucket", required=True, metavar="NAME", help="S3 bucket to work in")
    conformance.add_argument("--prefix", default="conformance", metavar="KEY", help="where in it (conformance)")
    conformance.add_argument(
        "--operation", choices=["Restore", "Animate"], default="Restore", help="what to ask of it (Restore)"
    )


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit-megapixels", type=int, default=100, metavar="N", help="refuse larger photos (100)")
    command.add_argument("--limit-megabytes", type=int, default=256, metavar="N", help="refuse larger files (256)")
    command.add_argument("--threads", type=int, default=available_processors(), metavar="N", help=_THREADS_HELP)


_SOURCE_HELP = "JPEG, PNG, WebP, TIFF, HEIC or AVIF file"
_THREADS_HELP = "tiles or frames in work at once (the processors that this process may use, at most 8)"
