"""Forms with which a browser uploads one object by itself, and nothing else.

References:
    Amazon S3 API: POST Object, and its policy.
"""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class UploadTerms:
    """What S3 holds an upload to. `least` and `most` are bytes; without `sha256` any bytes will do."""

    media_type: str
    least: int
    most: int
    sha256: bytes | None = None


@dataclass(frozen=True)
class Form:
    """Where to send the form, and its fields; the file goes last, as `file`."""

    url: str
    fields: dict[str, str]


def make_form(client: "S3Client", bucket: str, key: str, terms: UploadTerms, seconds: int) -> Form:
    """Return the form that uploads the object `key` within `seconds`."""
    fields = {"Content-Type": terms.media_type}
    if terms.sha256 is not None:
        fields["x-amz-checksum-algorithm"] = "SHA256"
        fields["x-amz-checksum-sha256"] = base64.b64encode(terms.sha256).decode()
    conditions: list[Any] = [["content-length-range", terms.least, terms.most]]
    conditions += [{name: value} for name, value in fields.items()]
    made = client.generate_presigned_post(bucket, key, Fields=dict(fields), Conditions=conditions, ExpiresIn=seconds)
    return Form(made["url"], made["fields"])
