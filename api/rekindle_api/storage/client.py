"""How a boto3 client for S3 is made."""

import functools
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from rekindle_api.settings import StorageSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@functools.cache
def _session(region: str | None) -> boto3.session.Session:
    """Return the session of this process: it reads boto3's large service descriptions once."""
    return boto3.session.Session(region_name=region)


def make_client(settings: StorageSettings, endpoint_url: str | None) -> "S3Client":
    """Return a client for `endpoint_url`, or for AWS when it is None. Clients, unlike sessions, are safe in threads."""
    options: dict[str, object] = {}
    if endpoint_url is not None:
        # boto3's default checksum trailers break servers that are not AWS, and their names are rarely in DNS.
        options = {
            "s3": {"addressing_style": "path"},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
    config = Config(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=settings.s3_threads,
        **options,  # type: ignore[arg-type] # the stubs type each option on its own
    )
    session = _session(settings.s3_region)
    region = session.region_name or ("us-east-1" if endpoint_url else None)
    return session.client("s3", region_name=region, endpoint_url=endpoint_url, config=config)
