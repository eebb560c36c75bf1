"""Secrets and personal data stay where they belong: not in any log line, not in the tables that tell what happened."""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.api import forked
from tests.api.accounts.hooks import HASH, TOKEN, account_row, event, signed

from rekindle_api import logs
from rekindle_api.application import WebSettings
from rekindle_dev.ports import free_ports

if TYPE_CHECKING:
    from tests.api.conftest import Account, Api, PhotoMaker

    from rekindle_dev.controlplane import ControlPlane

pytestmark = pytest.mark.stack
ADDRESS = "very.private@example.com"
NAME = "grandmother-in-1954.jpg"
PROMPT = "the-uncle-nobody-speaks-of"
HIDDEN = {
    "SUPABASE_SERVICE_KEY": "sb_secret_0a1b2c3d4e5f6a7b8c9d",
    "SUPABASE_WEBHOOK_SECRETS": "webhook-secret-0a1b2c3d4e5f6a7b8c9d0e1f",
    "STRIPE_SECRET_KEY": "sk_test_0a1b2c3d4e5f6a7b8c9d0e1f",
    "STRIPE_WEBHOOK_SECRETS": "whsec_0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d",
    "TICKET_SECRET": "ticket-secret-0a1b2c3d4e5f6a7b8c9d0e1f2a3b",
}


@pytest.fixture
def environment(
    api: "Api", control_plane: "ControlPlane", namespace: str, service_url: str, unused: int
) -> dict[str, str]:
    """What the processes are told, secrets included, and that everything is to be logged."""
    settings = api.app.state.settings
    return {
        **os.environ,
        **HIDDEN,
        "LOG_LEVEL": "DEBUG",
        "DATABASE_URL": service_url,
        "S3_BUCKET": api.bucket,
        "S3_ENDPOINT_URL": settings.storage.s3_endpoint_url,
        "SUPABASE_URL": settings.auth.supabase_url,
        "STRIPE_API_BASE": f"http://127.0.0.1:{unused}",
        "STRIPE_PRICES": json.dumps({"remember": "price_remember", "cherish": "price_a", "forever": "price_b"}),
        "STRIPE_TOP_UP_PRICES": json.dumps({"small": "price_small"}),
        "STRIPE_RETRIES": "0",
        "KUBECONFIG": str(control_plane.kubeconfig),
        "REKINDLE_NAMESPACE": namespace,
        "BRIDGE_PORT": "0",
        "BRIDGE_POLL_SECONDS": "0.1",
    }


@pytest.fixture
def unused() -> int:
    """A port at which nobody answers."""
    return free_ports(1)[0]


async def visit(http: httpx.AsyncClient, account: "Account", content: bytes) -> list[str]:
    """Use the service well and badly; return what it gave out in confidence."""
    mine = {"Authorization": f"Bearer {account.token}"}
    webhook = json.dumps(event("INSERT", account_row(account.id, email=ADDRESS))).encode()
    sign = signed(webhook, HIDDEN["SUPABASE_WEBHOOK_SECRETS"]) | {"Content-Type": "application/json"}
    for body, headers in ((webhook, sign), (webhook, sign | {"x-supabase-signature": "0"}), (webhook[:-9], sign)):
        await http.post("/api/webhooks/supabase", content=body, headers=headers)
    cut = webhook[:-9]
    again = signed(cut, HIDDEN["SUPABASE_WEBHOOK_SECRETS"]) | {"Content-Type": "application/json"}
    await http.post("/api/webhooks/supabase", content=cut, headers=again)
    stripe = json.dumps({"id": "evt_1", "object": "event", "customer_email": ADDRESS, "data": {}}).encode()
    await http.post("/api/webhooks/stripe", content=stripe, headers={"Stripe-Signature": "t=1,v1=00"})
    uploaded = await http.post("/api/v1/photos/upload", files={"file": (NAME, content, "image/jpeg")}, headers=mine)
    photo = uploaded.json()
    form = (await http.post("/api/v1/photos/presigned-upload", json={"filename": NAME}, headers=mine)).json()
    params = {"restore": {"colourize": False, "userPrompt": PROMPT}}
    path = f"/api/v1/photos/{photo['id']}"
    for wanted in (params, {"restore": PROMPT}, {"denoise": PROMPT}):
        await http.post(f"{path}/restore", json={"model": "x", "params": wanted}, headers=mine)
    url = (await http.get(f"{path}/download-url", headers=mine)).json()["url"]
    given = (await http.post("/api/v1/events/tickets", json={"photo_id": photo["id"]}, headers=mine)).json()
    query = {"ticket": given["ticket"]}
    async with http.stream("GET", f"/api/v1/events/{photo['id']}", params=query) as stream:
        await anext(stream.aiter_lines())
    await http.get(f"/api/v1/events/{photo['id']}", params={"ticket": given["ticket"][:-2]})
    await http.get("/api/v1/photos", headers={"Authorization": f"Bearer {account.token[:-3]}"})
    await http.get("/nowhere", params={"email": ADDRESS, "token": account.token})
    await http.post("/api/v1/billing/checkout", json={"pack": "small"}, headers=mine)
    await http.put("/api/v1/users/me", json={"first_name": ADDRESS}, headers=mine)
    signature = httpx.URL(url).params["X-Amz-Signature"]
    fields = [value for name, value in form["fields"].items() if name.lower() in {"policy", "x-amz-signature"}]
    return [account.token, given["ticket"], url, signature, *fields]


def found(text: str, hidden: Iterable[str]) -> set[str]:
    """Return what of `hidden` stands in a text, plainly or as JSON writes it."""
    return {one for one in hidden if one in text or json.dumps(one)[1:-1] in text}


@pytest.mark.slow
async def test_no_process_tells_a_secret_however_much_it_tells(
    api: "Api",
    account: "Account",
    photo_bytes: "PhotoMaker",
    environment: dict[str, str],
    tmp_path: Path,
    soon: Any,
) -> None:
    [port] = free_ports(1)
    log = tmp_path / "all.log"
    log.touch()
    serve = forked.start(["serve", "--port", str(port)], environment, log)
    bridge = forked.start(["bridge"], environment, log)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            await soon(lambda: "startup complete" in log.read_text(), seconds=60)
            confided = await visit(http, account, photo_bytes())
        await soon(lambda: not api.rows("SELECT 1 FROM outbox"), seconds=60)
    finally:
        for process in (serve, bridge):
            process.terminate()
            await asyncio.to_thread(process.join, 30)
    [[user_id]] = api.rows("SELECT id::text FROM users WHERE supabase_user_id = %s", account.id)
    wrong = environment | {"DATABASE_URL": environment["DATABASE_URL"].replace("@127", "wrong-password@127")}
    for arguments, given in (
        (["sweep"], environment),
        (["admin", "user", "suspend", user_id, "--reason", "a test"], environment),
        (["admin", "outbox"], wrong),
        (["migrate"], wrong),
        (["sweep"], wrong),
    ):
        process = forked.start(arguments, given, log)
        await asyncio.to_thread(process.join, 60)

    printed = log.read_text()
    password = environment["DATABASE_URL"].partition("@")[0].rpartition(":")[2]
    kept = [*HIDDEN.values(), password, environment["AWS_SECRET_ACCESS_KEY"], *confided]
    told = "".join(
        str(api.rows(f"SELECT * FROM {table}"))  # noqa: S608 - names of tables
        for table in ("audit_logs", "webhook_events", "outbox", "idempotency_keys")
    )
    assert "request" in printed
    assert "order" in printed or "bridge started" in printed
    assert found(printed, [*kept, ADDRESS, NAME, PROMPT, HASH, TOKEN, "+4930123456"]) == set()
    assert found(told, [*kept, ADDRESS, NAME, PROMPT, HASH, TOKEN, "+4930123456"]) == set()


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:the-password@h/d")
    monkeypatch.setenv("S3_BUCKET", "photos")
    monkeypatch.setenv("SUPABASE_URL", "http://project.example")
    for name, value in HIDDEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STRIPE_PRICES", json.dumps({"remember": "price_a", "cherish": "price_b", "forever": "price_c"}))
    monkeypatch.setenv("STRIPE_TOP_UP_PRICES", json.dumps({"small": "price_small"}))

    settings = WebSettings.read()

    shown = repr(settings) + str(settings)
    assert "price_small" in shown
    assert found(shown, [*HIDDEN.values(), "the-password"]) == set()


@pytest.mark.parametrize("way", ["exception", "error", "text", "message"])
def test_what_the_database_quotes_of_a_row_is_not_logged(way: str) -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    log = logging.getLogger(f"test.{secrets.token_hex(4)}")
    log.addHandler(handler)
    log.propagate = False
    quoted = ValueError(f"refused\nDETAIL:  Failing row contains ({ADDRESS},\nmore {NAME}).\n[SQL: INSERT]")

    if way == "message":
        log.error("failed: %s", quoted)
    elif way == "exception":
        log.error("failed", exc_info=quoted)
    else:
        log.error("failed", extra={"error": str(quoted) if way == "text" else quoted})

    assert "[SQL: INSERT]" in stream.getvalue()
    assert found(stream.getvalue(), [ADDRESS, NAME]) == set()
