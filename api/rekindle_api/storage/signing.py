"""Signed URLs: time-limited, and always a download under a sensible name, never a page of the storage's origin."""

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
            "ResponseContentDisposition": f'attachment; filename="{download.file_name}"',
        },
        ExpiresIn=seconds,
    )
