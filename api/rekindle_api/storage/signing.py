"""Signed URLs: time-limited, and always a download under a sensible name, never a page of the storage's origin."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/tiff": "tif",
    "image/heic": "heic",
    "image/avif": "avif",
}
_REMEMBERED = 20_000
"""Addresses, of about half a kilobyte each."""


@dataclass(frozen=True)
class Download:
    """One object as a user gets it: `name` is plain ASCII, made by us, without an ending.

    `bucket` is where it was stored; the configured one when left out.
    """

    key: str
    name: str
    media_type: str | None = None
    bucket: str | None = None

    @property
    def file_name(self) -> str:
        """The name with an ending that fits the media type, or else the key."""
        ending = _ENDINGS.get(self.media_type or "")
        if ending is None:
            last = self.key.rpartition("/")[2]
            ending = last.rpartition(".")[2] if "." in last else ""
        return f"{self.name}.{ending}" if ending else self.name


def sign(client: "S3Client", bucket: str, download: Download, seconds: int) -> str:
    """Return a URL that anybody can get the object with for `seconds`."""
    return client.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": download.bucket or bucket,
            "Key": download.key,
            "ResponseCacheControl": f"private, max-age={seconds}",
            "ResponseContentDisposition": f'attachment; filename="{download.file_name}"',
        },
        ExpiresIn=seconds,
    )


class SignedUrls:
    """The signed URLs of one process, each used again for half of its life: browsers cache by the URL.

    What `find` returns is good for at least the other half. The oldest are forgotten first.
    """

    def __init__(self) -> None:
        self._urls: OrderedDict[tuple[str, str, str, int], tuple[float, str]] = OrderedDict()

    def find(self, bucket: str, downloads: Iterable[Download], seconds: int) -> dict[str, str]:
        """Return those URLs that were signed for `seconds` and are still young, by the keys of their objects."""
        now, found = time.monotonic(), {}
        for item in downloads:
            signed_at, url = self._urls.get(_place(bucket, item, seconds), (-float("inf"), ""))
            if now - signed_at < seconds / 2:
                found[item.key] = url
        return found

    def keep(self, bucket: str, signed: Mapping[Download, str], seconds: int, signed_at: float) -> None:
        """Remember URLs that were signed at `signed_at`, by the monotonic clock."""
        for item, url in signed.items():
            place = _place(bucket, item, seconds)
            self._urls[place] = signed_at, url
            self._urls.move_to_end(place)
        while len(self._urls) > _REMEMBERED:
            self._urls.popitem(last=False)


def _place(bucket: str, item: Download, seconds: int) -> tuple[str, str, str, int]:
    return item.bucket or bucket, item.key, item.file_name, seconds
