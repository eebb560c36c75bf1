"""What a try-out's pod runs, as processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import httpx
import jwt
import psycopg
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from rekindle_dev.ports import free_ports
from rekindle_dev.processes import Child, Program

if TYPE_CHECKING:
    from tests.conftest import Eventually

pytestmark = pytest.mark.stack


class Run(Protocol):
    """Runs a part on a port of 127.0.0.1."""

    def __call__(self, part: str, port: int, **variables: str) -> Child: ...


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Parts that are ended after the test; as nobody when we are root, as in a pod."""
    children: list[Child] = []

    def start(part: str, port: int, **variables: str) -> Child:
        command = (sys.executable, "-m", "rekindle_dev.tryout", part, f"--directory={tmp_path / part}")
        program = Program(
            f"try-out's {part}", (*command, "--host=127.0.0.1", f"--port={port}"), variables, unprivileged=True
        )
        children.append(Child.start(program, tmp_path / f"{part}.log"))
        return children[-1]

    yield start
    for child in children:
        child.stop()


def _asks(url: str, statement: str) -> list[tuple[object, ...]] | None:
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            return connection.execute(statement).fetchall()
    except psycopg.OperationalError:
        return None


def test_postgresql_has_an_owner_and_a_role_with_awkward_passwords_and_keeps_what_it_has(
    run: Run, eventually: "Eventually"
) -> None:
    [port] = free_ports(1)
    owner = f"postgresql://rekindle_owner:it%27s%20%22quoted%22@127.0.0.1:{port}/rekindle"
    service = f"postgresql://rekindle_service:secret@127.0.0.1:{port}/rekindle"
    variables = {"DATABASE_OWNER_URL": owner, "DATABASE_URL": service}
    first = run("postgres", port, **variables)
    owns = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'rekindle'"
    assert eventually(lambda: _asks(service, owns)) == [("rekindle_owner",)]
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE photos AS SELECT 1 AS id")
    first.stop()
    run("postgres", port, **variables)
    assert eventually(lambda: _asks(owner, "SELECT id FROM photos")) == [(1,)]
    wrong = service.replace(":secret@", ":guess@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_s3_has_its_bucket_and_takes_only_its_keys(run: Run, eventually: "Eventually") -> None:
    [port] = free_ports(1)
    run("s3", port, AWS_ACCESS_KEY_ID="TRYOUTKEY", AWS_SECRET_ACCESS_KEY="tryout-secret", S3_BUCKET="photos")

    def client(secret: str) -> Any:
        return boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id="TRYOUTKEY", aws_secret_access_key=secret,
        )  # fmt: skip

    def stored() -> bool:
        try:
            client("tryout-secret").put_object(Bucket="photos", Key="a.jpg", Body=b"a")
        except (BotoCoreError, ClientError):
            return False
        return True

    eventually(stored)
    assert client("tryout-secret").get_object(Bucket="photos", Key="a.jpg")["Body"].read() == b"a"
    with pytest.raises(ClientError):
        client("guess").get_object(Bucket="photos", Key="a.jpg")


def test_tokens_of_the_issuer_name_the_address_it_is_given(run: Run, eventually: "Eventually") -> None:
    [port] = free_ports(1)
    run("issuer", port, SUPABASE_URL="http://rekindle-tryout:9999", SUPABASE_SERVICE_KEY="sb_secret_tryout")
    url = f"http://127.0.0.1:{port}/auth/v1"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health").is_success
        except httpx.TransportError:
            return False

    eventually(answers)
    body = {"email": "ann@example.com", "password": "long enough for anybody"}
    answer = httpx.post(f"{url}/signup", headers={"apikey": "sb_publishable_tryout"}, json=body, timeout=60)
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["iss"] == "http://rekindle-tryout:9999/auth/v1"


def test_a_secret_that_is_missing_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rekindle_dev.tryout", "s3", f"--directory={tmp_path}"]
    answer = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "AWS_ACCESS_KEY_ID is not set" in answer.stderr
