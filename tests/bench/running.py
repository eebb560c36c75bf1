"""The stack that the benchmarks of the API and the operator measure, and a user on it."""

import functools
import io
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from rekindle_dev import programs
from rekindle_dev.issuer import TokenIssuer
from rekindle_dev.parts import Silent
from rekindle_dev.postgres import PostgreSQL
from rekindle_dev.processes import Child, Program
from rekindle_dev.s3 import ObjectStore
from rekindle_dev.service import Service
from rekindle_dev.stack import Stack


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start everything, idle, for the length of the block."""
    with tempfile.TemporaryDirectory() as folder, Stack.start(Path(folder), Silent()) as stack:
        yield stack


@dataclass(frozen=True)
class WebServer:
    """The web server with what it needs, and nothing that carries its orders out."""

    api: Service
    issuer: TokenIssuer
    object_store: ObjectStore
    database_url: str


@contextmanager
def running_server() -> Iterator[WebServer]:
    """Start the web server alone, for the length of the block; it lets any number of requests through."""
    with (
        tempfile.TemporaryDirectory() as name,
        PostgreSQL.start(Path(name) / "postgres") as postgres,
        ObjectStore.start(Path(name) / "s3") as store,
        TokenIssuer.start(Path(name) / "issuer") as issuer,
    ):
        addresses = programs.Addresses(
            database_url=postgres.create_database("rekindle"),
            kubeconfig=Path(name) / "none",
            supabase_url=issuer.url,
            supabase_service_key=issuer.secret_key,
            supabase_webhook_secret=issuer.webhook_secret,
            bucket=store.bucket,
            s3=store.environment(),
        )
        Child.start(programs.migrate(addresses), Path(name) / "migrate.log").wait(seconds=60)

        def unlimited(port: int) -> Program:
            program = programs.api(addresses, port)
            rates = dict.fromkeys(("RATE_UPLOAD", "RATE_RESTORE"), "1000000/second")
            return replace(program, environment={**program.environment, **rates})

        with Service.start(unlimited, Path(name) / "api.log") as api:
            yield WebServer(api, issuer, store, addresses.database_url)


@contextmanager
def signed_in(stack: Stack | WebServer) -> Iterator[httpx.Client]:
    """Sign a new user up; the client sends the user's token."""
    session = stack.issuer.sign_up(f"bench-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12))
    headers = {"Authorization": f"Bearer {session.access_token}"}
    with httpx.Client(base_url=stack.api.url, headers=headers, timeout=300) as client:
        yield client


def upload(client: httpx.Client, photo: bytes) -> httpx.Response:
    """Upload a photo as the frontend does."""
    answer = client.post("/api/v1/photos/upload", files={"file": ("photo.jpg", photo, "image/jpeg")})
    answer.raise_for_status()
    return answer


@functools.cache
def _pixels(side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)


def photo_of(side: int, number: int) -> bytes:
    """Return an uncompressed PNG of side x side pixels, 3 bytes each; each number is another photo."""
    pixels = _pixels(side).copy()
    pixels[0, 0] = number % 256, number // 256 % 256, side % 256
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
    return stream.getvalue()
