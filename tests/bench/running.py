"""The stack that the benchmarks of the API and the operator measure, and a user on it."""

import functools
import io
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from rekindle_dev.parts import Silent
from rekindle_dev.stack import Stack


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start everything, idle, for the length of the block."""
    with tempfile.TemporaryDirectory() as folder, Stack.start(Path(folder), Silent()) as stack:
        yield stack


@contextmanager
def signed_in(stack: Stack) -> Iterator[httpx.Client]:
    """Sign a new user up; the client sends the user's token."""
    session = stack.issuer.sign_up(f"bench-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12))
    headers = {"Authorization": f"Bearer {session.access_token}"}
    with httpx.Client(base_url=stack.api.url, headers=headers, timeout=120) as client:
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
