"""The whole stack for the whole session, and the means to look at it as its users do."""

import json
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest

from rekindle_dev.parts import Silent
from rekindle_dev.programs import NAMESPACE
from rekindle_dev.stack import Stack
from rekindle_dev.tiers import give_tier


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, as `make demo` starts it."""
    with Stack.start(tmp_path_factory.mktemp("stack"), Silent()) as running:
        yield running
        running.check()


@dataclass
class User:
    """Somebody with an account: calls the API with a token, as the frontend does."""

    http: httpx.Client
    database_url: str
    id: str

    def subscribe(self, tier: str) -> None:
        """Get another tier, as by a subscription."""
        give_tier(self.database_url, self.id, tier)

    def upload(self, photo: bytes) -> str:
        answer = self.http.post("/api/v1/photos/upload", files={"file": ("file-upload-1.jpg", photo, "image/jpeg")})
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    def restore(self, photo_id: str, **params: Any) -> str:
        answer = self.http.post(f"/api/v1/photos/{photo_id}/restore", json={"model": "x", "params": params})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def attempt(self, photo_id: str, attempt_id: str) -> dict[str, Any]:
        """Return an attempt as the job view shows it; its `s3_key` tells how it stands."""
        attempts = self.http.get(f"/api/v1/jobs/{photo_id}").json()["restore_attempts"]
        return next(attempt for attempt in attempts if attempt["id"] == attempt_id)

    def ended(self, photo_id: str, attempt_id: str) -> dict[str, Any] | None:
        """Return the attempt once it has ended, either way."""
        attempt = self.attempt(photo_id, attempt_id)
        return None if attempt["s3_key"] in ("", "pending") else attempt


@pytest.fixture
def user(stack: Stack) -> Iterator[User]:
    """A new user."""
    session = stack.issuer.sign_up(f"user-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12))
    headers = {"Authorization": f"Bearer {session.access_token}"}
    with httpx.Client(base_url=stack.api.url, headers=headers, timeout=30) as http:
        yield User(http, stack.database_url, session.user_id)


class Cluster:
    """What an admin sees with kubectl, in the namespace of the jobs."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        return self._stack.control_plane.kubectl("-n", NAMESPACE, *arguments, check=check, stdin=stdin)

    def job(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", "restorejob", name, "-o", "json")))

    def apply(self, *objects: dict[str, Any]) -> None:
        self._stack.control_plane.apply(
            [{**each, "metadata": {"namespace": NAMESPACE, **each["metadata"]}} for each in objects]
        )

    def attempts_of(self, name: str) -> list[dict[str, Any]]:
        return list(self.job(name).get("status", {}).get("attempts", []))

    def kill_container_of(self, name: str) -> bool:
        """SIGKILL the processes of a job's running pod, as the kernel does when a container takes too much memory."""
        running = [each for each in self.attempts_of(name) if each.get("startTime") and "completionTime" not in each]
        return any(_kill_pod(attempt["podUid"]) for attempt in running)


def _kill_pod(uid: str) -> bool:
    killed = False
    for process in psutil.process_iter():
        try:
            if process.environ().get("REKINDLE_POD_UID") == uid:
                os.kill(process.pid, signal.SIGKILL)
                killed = True
        except (psutil.Error, ProcessLookupError):
            continue
    return killed


@pytest.fixture
def cluster(stack: Stack) -> Cluster:
    """The cluster of the stack."""
    return Cluster(stack)
