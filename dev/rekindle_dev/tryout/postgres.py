"""PostgreSQL with one database, its owner, and the role that the programs sign in as."""

import os
import subprocess
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from rekindle_dev.binaries import postgresql
from rekindle_dev.processes import PartError

_SETTINGS = {"unix_socket_directories": "", "password_encryption": "scram-sha-256", "timezone": "UTC"}
_ACCESS = "host all all all scram-sha-256\n"


def run(directory: Path, host: str, port: int, owner_url: str, url: str) -> NoReturn:
    """Become the server; the first time, make the database and the roles that the two URLs name.

    Raises:
        PartError: if the data folder cannot be made.
        ValueError: if a URL names no user, password or database.
    """
    data = directory / "data"
    if not (data / "PG_VERSION").exists():
        _initialize(data, _statements(owner_url, url))
    command = [str(postgresql("postgres")), "-D", str(data), "-h", host, "-p", str(port)]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    os.execv(command[0], command)


def _statements(owner_url: str, url: str) -> list[str]:
    owner, owner_password, database = _parts(owner_url)
    role, password, _ = _parts(url)
    statements = [f"CREATE ROLE {owner} LOGIN PASSWORD {owner_password}", f"CREATE DATABASE {database} OWNER {owner}"]
    if role != owner:
        statements.insert(1, f"CREATE ROLE {role} LOGIN PASSWORD {password}")
    return statements


def _parts(url: str) -> tuple[str, str, str]:
    """Return user, password and database of a URL, quoted for SQL."""
    parts = urlsplit(url)
    user, password, database = unquote(parts.username or ""), unquote(parts.password or ""), parts.path.strip("/")
    if not (user and password and database):
        raise ValueError("the URL of the database must name a user, a password and a database")
    return _quoted(user, '"'), _quoted(password, "'"), _quoted(database, '"')


def _quoted(text: str, mark: str) -> str:
    return mark + text.replace(mark, 2 * mark) + mark


def _initialize(data: Path, statements: list[str]) -> None:
    """Make the data folder beside its place, and move it there whole: a pod may end in the middle."""
    fresh = data.with_name("data.new")
    subprocess.run(["rm", "-rf", str(fresh)], check=True)
    _do(
        [postgresql("initdb"), "-D", fresh, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync",
         "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    )  # fmt: skip
    # Without a server nobody else can connect yet.
    _do([postgresql("postgres"), "--single", "-j", "-D", fresh, "postgres"], ";\n\n".join([*statements, ""]))
    (fresh / "pg_hba.conf").write_text(_ACCESS)
    fresh.rename(data)


def _do(command: list[str | Path], given: str = "") -> None:
    answer = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    # In single-user mode a statement that fails ends nothing.
    if answer.returncode != 0 or "ERROR:" in answer.stderr:
        raise PartError(f"{Path(command[0]).name} failed:\n{answer.stderr.strip()}")
