"""Runs one of them in the foreground: `python -m rekindle_dev.tryout postgres|s3|issuer --directory DIRECTORY`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rekindle_dev.processes import PartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the program; return an exit status only when that fails: 1, or 2 for a variable that is missing."""
    options = _parser().parse_args(arguments)
    try:
        _run(options.part, options.directory, options.host, options.port)
    except KeyError as error:
        print(f"rekindle_dev.tryout: the environment variable {error.args[0]} is not set", file=sys.stderr)
        return 2
    except (OSError, PartError, ValueError) as error:
        print(f"rekindle_dev.tryout: {error}", file=sys.stderr)
        return 1
    return 0


def _run(part: str, directory: Path, host: str, port: int | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    # Each imports what only it has need of.
    match part:
        case "postgres":
            from rekindle_dev.tryout.postgres import run  # noqa: PLC0415 - as above

            run(directory, host, port or 5432, os.environ["DATABASE_OWNER_URL"], os.environ["DATABASE_URL"])
        case "s3":
            from rekindle_dev.tryout.s3 import run as run_s3  # noqa: PLC0415 - as above

            keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
            run_s3(directory, host, port or 9000, os.environ["S3_BUCKET"], keys)
        case _:
            from rekindle_dev.tryout.issuer import run as run_issuer  # noqa: PLC0415 - as above

            run_issuer(directory, host, port or 9999, os.environ["SUPABASE_URL"], os.environ["SUPABASE_SERVICE_KEY"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rekindle_dev.tryout",
        description="Run a stand-in for PostgreSQL, S3 or Supabase Auth until SIGTERM; secrets by the environment.",
    )
    parser.add_argument("part", choices=("postgres", "s3", "issuer"))
    parser.add_argument("--directory", type=Path, required=True, help="where it keeps what it is given")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: %(default)s)")  # noqa: S104 - other pods come
    parser.add_argument("--port", type=int, help="port to listen on (default: 5432, 9000, 9999)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
