"""Schemathesis asks all that the description allows and forbids: no reply is a bug, or other than described."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker, StartApi

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
WEBHOOK_SECRET = "a-secret-of-the-tests-with-more-than-32-bytes"
# Stripe is not set up here, which these routes say with a 503.
CONFIGURATION = """
[[operations]]
include-tag = ["billing"]
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]

[[operations]]
include-operation-id = ["webhooks_receive"]
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
"""


async def ask(api: "Api", account: "Account", folder: Path, *options: str, ids: dict[str, str] | None = None) -> None:
    """Run Schemathesis as a user; paths get `ids` where they are given."""
    given = "".join(f'"path.{name}" = {json.dumps(value)}\n' for name, value in (ids or {}).items())
    configuration = folder / "schemathesis.toml"
    configuration.write_text(f"[parameters]\n{given}\n{CONFIGURATION}")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        f"--config-file={configuration}",
        "run",
        f"{api.url}/openapi.json",
        f"--header=Authorization: Bearer {account.token}",
        f"--checks={','.join(CHECKS)}",
        "--generation-deterministic",
        "--max-examples=3",
        "--no-color",
        "--request-timeout=20",
        "--suppress-health-check=all",
        "--warnings=off",
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@pytest.fixture
async def asked(start_api: "StartApi") -> "Api":
    """A server whose streams end soon."""
    return await start_api(stream_seconds=1, supabase_webhook_secrets=WEBHOOK_SECRET)


async def test_whatever_is_asked_of_what_is_there_is_answered_as_described(
    asked: "Api", photo_bytes: "PhotoMaker", tmp_path: Path
) -> None:
    account = asked.account()
    photo = await account.photo(photo_bytes())
    restore = await account.restore(photo)
    await asked.complete(restore)
    ids = {"photo_id": photo, "attempt_id": restore, "identifier": restore}

    await ask(asked, account, tmp_path, "--phases=examples,coverage,fuzzing", "--exclude-method=DELETE", ids=ids)


async def test_whatever_is_asked_of_what_is_not_there_is_answered_as_described(asked: "Api", tmp_path: Path) -> None:
    await ask(asked, asked.account(), tmp_path, "--phases=fuzzing")
