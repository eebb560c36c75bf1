"""The command line of SeaweedFS as an S3 service, which both the embedded stack and a try-out's pod run."""

import random
from collections.abc import Mapping
from pathlib import Path

from rekindle_dev.binaries import seaweedfs
from rekindle_dev.ports import free_ports, is_free

_PLAIN_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
                "s3.port", "s3.port.grpc")  # fmt: skip


def command(directory: Path, bucket: str, ports: Mapping[str, int], *, bind: str = "127.0.0.1") -> tuple[str, ...]:
    """Return the command; keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    return (
        str(seaweedfs()), "mini", f"-dir={directory}", "-ip=127.0.0.1", f"-ip.bind={bind}",
        f"-bucket={bucket}", "-admin.ui=false", "-webdav=false", "-master.telemetry=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0", *(f"-{name}={port}" for name, port in ports.items()),
    )  # fmt: skip


def choose_ports() -> dict[str, int]:
    """Return a free port for each of its services. Parts of it expect the admin's second port 10,000 above."""
    ports = dict(zip(_PLAIN_PORTS, free_ports(len(_PLAIN_PORTS)), strict=True))
    candidates = random.SystemRandom().sample(range(32_000, 32_700), 200)
    admin = next(port for port in candidates if is_free(port) and is_free(port + 10_000))
    return ports | {"admin.port": admin, "admin.port.grpc": admin + 10_000}
