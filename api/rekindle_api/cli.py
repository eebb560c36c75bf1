"""The command rekindle-api: serve HTTP, run the bridge to Kubernetes, migrate the database, sweep what is over."""

import argparse
import sys
from collections.abc import Callable, Sequence

from rekindle_api.settings import DatabaseSettings, InvalidSettingsError, MigrationSettings, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 2 for settings that are missing or refused."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(whole_admin=given[:1] == ["admin"]).parse_args(given)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except InvalidSettingsError as error:
        sys.stderr.write(f"rekindle-api: the environment is not complete:\n{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _parser(*, whole_admin: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rekindle-api",
        description="The companion service of the Rekindle operator. All settings come from environment variables.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer HTTP requests")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    serve.set_defaults(run=_serve)

    bridge = commands.add_parser("bridge", help="make custom resources from the outbox, and watch them")
    bridge.set_defaults(run=_bridge)

    migrate = commands.add_parser("migrate", help="bring the database schema up to date; safe to run twice at once")
    migrate.add_argument("--revision", default="head", help="revision to go to (default: the newest)")
    migrate.set_defaults(run=_migrate)

    sweep = commands.add_parser("sweep", help="delete, once, objects and rows whose time is over")
    sweep.set_defaults(run=_sweep)

    admin = commands.add_parser("admin", help="look up and put right: accounts, credits, webhooks, orders, audit log")
    if whole_admin:
        from rekindle_api.administration.arguments import describe  # noqa: PLC0415 - as below

        describe(admin)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from rekindle_api.server import serve  # noqa: PLC0415 - each command imports only what it runs

    return serve(options.host, options.port)


def _bridge(_options: argparse.Namespace) -> int:
    from rekindle_api.bridge.program import run_bridge  # noqa: PLC0415 - as above

    return run_bridge()


def _migrate(options: argparse.Namespace) -> int:
    from rekindle_api.migrations.grants import UnfitRoleError  # noqa: PLC0415 - as above
    from rekindle_api.migrations.runner import upgrade  # noqa: PLC0415 - as above

    try:
        upgrade(read(DatabaseSettings), options.revision, read(MigrationSettings).database_app_role)
    except UnfitRoleError as error:
        sys.stderr.write(f"rekindle-api: {error}\n")
        return 2
    return 0


def _sweep(_options: argparse.Namespace) -> int:
    from rekindle_api.bridge.program import run_sweep  # noqa: PLC0415 - as above

    return run_sweep()


if __name__ == "__main__":
    sys.exit(main())
