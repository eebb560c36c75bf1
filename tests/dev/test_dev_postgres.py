"""The PostgreSQL server."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from rekindle_dev.postgres import PostgreSQL
from rekindle_dev.processes import PartError

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked, RunScript

pytestmark = pytest.mark.stack


def test_databases_come_and_go_with_clients_in_them(postgres: PostgreSQL) -> None:
    url = postgres.create_database("an odd name")
    client = psycopg.connect(url)
    client.execute("CREATE TABLE photos (name text)")
    postgres.drop_database("an odd name")
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    client.close()


def test_no_password_no_entry(postgres: PostgreSQL) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres", passfile="/dev/null")


def test_a_server_that_cannot_start_shows_its_last_log_lines(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "something").touch()
    with pytest.raises(PartError, match="exists but is not empty"):
        PostgreSQL.start(tmp_path)


def test_no_backend_is_left_when_the_parent_is_killed(
    tmp_path: Path, run_script: "RunScript", processes_of: "Marked", eventually: "Eventually"
) -> None:
    parent = run_script(f"""
import time
from pathlib import Path
from rekindle_dev.postgres import PostgreSQL
server = PostgreSQL.start(Path({str(tmp_path)!r}))
print(server.url, flush=True)
time.sleep(600)
""")
    assert parent.stdout is not None
    with closing(psycopg.connect(parent.stdout.readline().strip())) as busy:
        busy.execute("SELECT 1")
        assert len(processes_of(tmp_path)) >= 3
        parent.kill()
        parent.wait(30)
        eventually(lambda: not processes_of(tmp_path))
