"""The command `kubectl rekindle`: options, and what an error becomes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rekindle_crds import AnimationParameters, RestoreParameters
from rekindle_kubectl import change, logs, send, top, why
from rekindle_kubectl.cluster import Cluster
from rekindle_kubectl.errors import PluginError, UsageError
from rekindle_kubectl.options import add_connection, add_parameters, duration
from rekindle_kubectl.screen import report

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name

_NAME = "a job: rjob/NAME, ajob/NAME, or NAME when only one kind has it"
_COMMANDS: dict[str, Callable[[argparse.Namespace, Cluster], int]] = {
    "restore": send.run,
    "animate": send.run,
    "top": top.run,
    "why": why.run,
    "logs": logs.run,
    "cancel": change.run,
    "suspend": change.run,
    "resume": change.run,
    "retry": change.run_retry,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 something failed, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cluster = Cluster.connect(options.kubeconfig, options.context, options.namespace)
        return _COMMANDS[options.command](options, cluster)
    except UsageError as error:
        report(str(error))
        return 2
    except PluginError as error:
        report(str(error))
        return 1
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl rekindle",
        description="Restore and animate old photos on a cluster that runs Rekindle, and see how the work goes.",
        epilog="Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.",
    )
    add_connection(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_restore(commands)
    _add_animate(commands)
    _add_top(commands)
    _add_why(commands)
    _add_logs(commands)
    _add_changes(commands)
    for command in commands.choices.values():
        add_connection(command, default=argparse.SUPPRESS)
    return parser


def _add_restore(commands: "_Commands") -> None:
    command = commands.add_parser(
        "restore",
        help="restore photos: upload, follow, and save the results",
        description="Restore photos. A file is uploaded to the bucket, a RestoreJob is made, and its result is saved "
        "beside the photo as NAME-restored.jpg.",
        epilog=_SAME,
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="a file, or an object as s3://BUCKET/KEY")
    _add_sending(command)
    add_parameters(command, "what to do to the photos", RestoreParameters)


def _add_animate(commands: "_Commands") -> None:
    command = commands.add_parser(
        "animate",
        help="animate photos, or what a RestoreJob made of them",
        description="Animate photos. As restore does, it uploads, follows and saves; the result is NAME-animated.mp4. "
        "The result of a RestoreJob need not be there yet: the animation waits for it.",
        epilog=_SAME,
    )
    command.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="a file, an object as s3://BUCKET/KEY, or a RestoreJob as rjob/NAME"
    )
    _add_sending(command)
    add_parameters(command, "how to animate the photos", AnimationParameters)


def _add_sending(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where photos and results are kept")
    where.add_argument(
        "--bucket",
        metavar="NAME",
        help="S3 bucket (default: $REKINDLE_BUCKET, else that of the photo); credentials, "
        "region and endpoint are those of the aws command",
    )
    where.add_argument("--prefix", metavar="KEY", default="rekindle", help="begin of all keys (default: %(default)s)")
    where.add_argument("-o", "--output", type=Path, metavar="DIR", help="save results in this folder")
    where.add_argument("--force", action="store_true", help="replace files that exist")
    how = command.add_argument_group("how it is run")
    how.add_argument("--name", metavar="NAME", help="name of the job, for a single photo")
    how.add_argument("--engine", metavar="NAME", help="Engine that does the work (default: the namespace's default)")
    how.add_argument("--priority", type=int, metavar="N", help="a higher number goes first (default: 0)")
    how.add_argument("--queue", metavar="NAME", help="Kueue LocalQueue that admits the jobs")
    how.add_argument("--no-wait", dest="wait", action="store_false", help="make the jobs and end")
    how.add_argument(
        "--timeout", type=duration, metavar="TIME", help="stop following after 90s, 10m, 1h; the jobs go on"
    )


def _add_top(commands: "_Commands") -> None:
    command = commands.add_parser(
        "top",
        help="see jobs and engines, live",
        description="Show the jobs that have not ended, those that ended meanwhile, and the engines, until Ctrl-C.",
    )
    command.add_argument("--all", action="store_true", help="show jobs that ended earlier, too")
    command.add_argument("--once", action="store_true", help="print one plain table and end")
    command.add_argument("-o", "--output", choices=["json"], help="with --once: print JSON")


def _add_why(commands: "_Commands") -> None:
    command = commands.add_parser(
        "why",
        help="explain where a job stands, and what to do",
        description="Explain in plain words where a job stands and why, what to do about it, and what comes next.",
    )
    command.add_argument("name", metavar="NAME", help=_NAME)
    command.add_argument("-o", "--output", choices=["json"], help="print JSON")


def _add_logs(commands: "_Commands") -> None:
    command = commands.add_parser(
        "logs",
        help="print the log of a job's pod",
        description="Print the log of the job's current pod, or of the last one. When that is gone, print the last "
        "lines that the job's status has kept. Which it is, is said on standard error.",
    )
    command.add_argument("name", metavar="NAME", help=_NAME)
    command.add_argument("-f", "--follow", action="store_true", help="wait for the pod, and for more lines")


def _add_changes(commands: "_Commands") -> None:
    helps = {
        "cancel": "end jobs; it cannot be taken back",
        "suspend": "stop jobs, or keep them from starting, until resume",
        "resume": "let suspended jobs go on; an attempt that was stopped starts anew and costs no retry",
    }
    for name, words in helps.items():
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("names", nargs="+", metavar="NAME", help=_NAME)
    command = commands.add_parser(
        "retry",
        help="make a new job of one that failed or was cancelled",
        description="Make a new job of one that failed or was cancelled: the same work under the old name with "
        "-retry-1, -retry-2 and so on, and with an output prefix of its own. While such a job goes on, no other is "
        "made.",
    )
    command.add_argument("name", metavar="NAME", help=_NAME)
    command.add_argument("--wait", action="store_true", help="follow the new job; exit code 0 only if it succeeds")
    command.add_argument("--timeout", type=duration, metavar="TIME", help="with --wait: stop following after 90s, 10m")


_SAME = (
    "A job is named after its photo, and after a hash of the photo, what is to be done and where results are kept. So "
    "the same command again makes no second job: it follows the one that goes on, saves the result of one that has "
    "ended, and retries one that failed or was cancelled. A file that exists is never replaced without --force."
)
