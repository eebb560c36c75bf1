"""What S3 answers when it does not do what it was asked to."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from tests.api.answering import answer, serving

from rekindle_api.settings import StorageSettings, read
from rekindle_api.storage import ObjectStorage, StorageUnavailableError


class _KeepingS3(BaseHTTPRequestHandler):
    """An S3 whose bucket policy lets nobody delete one of two objects."""

    def do_GET(self) -> None:
        if "uploads" in self.path.partition("?")[2].split("&"):
            answer(self, 200, "<ListMultipartUploadsResult/>")
        else:
            keys = "".join(f"<Contents><Key>a/{name}</Key></Contents>" for name in ("kept", "gone"))
            answer(self, 200, f"<ListBucketResult>{keys}</ListBucketResult>")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer(self, 200, "<DeleteResult><Error><Key>a/kept</Key><Code>AccessDenied</Code></Error></DeleteResult>")


@pytest.fixture
def keeping_s3() -> Iterator[str]:
    """The URL of an S3 that keeps an object."""
    with serving(_KeepingS3) as url:
        yield url


async def test_an_object_that_s3_does_not_delete_is_not_taken_for_gone(
    keeping_s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    storage = ObjectStorage(read(StorageSettings, {"s3_bucket": "photos", "s3_endpoint_url": keeping_s3}))

    with pytest.raises(StorageUnavailableError) as refused:
        await storage.delete_prefix("a/")
    storage.close()

    assert refused.value.cause == "DeleteObjects: AccessDenied"
