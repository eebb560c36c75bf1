"""An S3 service with one bucket."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from rekindle_dev import weed


def run(directory: Path, host: str, port: int, bucket: str, keys: Mapping[str, str]) -> NoReturn:
    """Become the service; its other parts take whatever ports are free."""
    data = directory / "data"
    data.mkdir(exist_ok=True)
    command = weed.command(data, bucket, weed.choose_ports() | {"s3.port": port}, bind=host)
    os.execve(command[0], command, {**os.environ, **keys})
