"""The command rekindle-dev: `up` starts the stack, `demo` shows a photo's way on it, `down` ends one elsewhere."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rekindle_dev import launcher, state
from rekindle_dev.controlplane import BuildError
from rekindle_dev.controlplane.toolchain import ToolchainError
from rekindle_dev.demo import tell
from rekindle_dev.farewell import Stopped, stop_on_signals
from rekindle_dev.guide import environment_file, reach
from rekindle_dev.processes import PartError
from rekindle_dev.screen import Screen, open_screen
from rekindle_dev.stack import Stack
from rekindle_dev.state import StateError
from rekindle_dev.visitor import VisitError

_CHECK_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 something failed, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "down":
            return _down(options)
        return _run(options)
    except Stopped:
        return 130
    except (BuildError, OSError, PartError, StateError, ToolchainError, VisitError) as error:
        print(f"rekindle-dev: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    photo: Path | None = getattr(options, "photo", None)
    if photo and not photo.is_file():
        raise StateError(f"{photo}: there is no such photo.")
    screen = open_screen()
    with stop_on_signals(), _stack(options, screen) as stack:
        if options.command == "demo":
            tell(stack, screen, photo, options.output)
            if options.once:
                return 0
        screen.heading("Everything runs until Ctrl-C")
        screen.text(reach(stack.record(), stack.directory))
        _wait(stack)
    return 0


@contextmanager
def _stack(options: argparse.Namespace, screen: Screen) -> Iterator[Stack]:
    """Run a stack in a folder of its own, which is gone afterwards."""
    for stale in state.remove_stale():
        screen.text(f"Removed what a stack that crashed had left in {stale}.")
    directory = options.directory or state.new_directory()
    began = time.monotonic()
    with state.occupied(directory), ExitStack() as last:
        # Parts that are still starting when we are told to end have nobody else to end them.
        last.callback(launcher.end_all)
        with screen.live():
            stack = Stack.start(directory, screen, api_port=options.api_port)
        with stack:
            screen.heading(f"Started in {time.monotonic() - began:.1f} s")
            state.write_record(directory, stack.record())
            environment_file(stack.record(), directory)
            yield stack
            screen.text("")
        screen.text("Everything is stopped.")


def _wait(stack: Stack) -> None:
    """Wait for a signal to end us.

    Raises:
        PartError: if a part of the stack ends by itself.
    """
    try:
        while True:
            stack.check()
            time.sleep(_CHECK_SECONDS)
    except Stopped:
        return


def _down(options: argparse.Namespace) -> int:
    directories: list[Path] = [options.directory] if options.directory else state.known_stacks()
    running = [path for path in directories if state.is_running(path)]
    if len(running) > 1 and not options.all:
        names = "\n".join(f"  {path}" for path in running)
        raise StateError(f"{len(running)} stacks run; name one, or give --all:\n{names}")
    for path in directories:
        print(state.end(path))
    if not directories:
        print("No stack runs.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rekindle-dev",
        description="Everything that Rekindle needs, of real parts, on this machine: PostgreSQL, S3, a Kubernetes "
        "control plane, a node that runs pods as processes, and a token issuer. All of it listens on 127.0.0.1 only, "
        "on free ports, and ends with this command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up",
        help="start everything and keep it running until Ctrl-C",
        description="Start everything, say how to reach each part, and keep it running until Ctrl-C.",
    )
    demo = commands.add_parser(
        "demo",
        help="start everything, and restore and animate a photo on it",
        description="Start everything, send a damaged photo the whole way through the API, a RestoreJob and a "
        "processing pod, put the result beside it, and let it move. The stack then runs until Ctrl-C.",
    )
    demo.add_argument("--photo", type=Path, metavar="FILE", help="a photo of your own (default: a damaged portrait)")
    demo.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("demo-output"),
        help="where the pictures go (default: %(default)s)",
    )
    demo.add_argument("--once", action="store_true", help="end when the pictures are there")
    for command in (up, demo):
        command.add_argument("--api-port", type=int, metavar="PORT", help="port of the API (default: a free one)")
        command.add_argument(
            "--directory",
            type=Path,
            metavar="DIR",
            help="an empty or new folder for state and logs, removed at the end (default: one in "
            "$XDG_STATE_HOME/rekindle or ~/.local/state/rekindle)",
        )
    down = commands.add_parser(
        "down",
        help="end a stack that runs in another terminal",
        description="End a stack that runs elsewhere, and remove what crashed ones have left.",
    )
    down.add_argument("directory", type=Path, nargs="?", metavar="DIR", help="its folder, if several run")
    down.add_argument("--all", action="store_true", help="end all of them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
