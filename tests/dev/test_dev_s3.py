"""What we rely on S3 for, held against the service of the stack."""

import base64
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from rekindle_dev.s3 import ObjectStore

if TYPE_CHECKING:
    from tests.conftest import Eventually
    from tests.dev.conftest import Marked, RunScript

pytestmark = pytest.mark.stack


def _code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def test_one_of_many_racing_writers_wins(object_store: ObjectStore, bucket: str) -> None:
    outcomes: list[str] = []
    begin = threading.Barrier(32)
    client = object_store.client(Config(max_pool_connections=32))

    def write(number: int) -> None:
        begin.wait()
        try:
            client.put_object(Bucket=bucket, Key="manifest.json", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append(f"won {number}")
        except ClientError as error:
            outcomes.append(str(error.response["Error"]["Code"]))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome.startswith("won")]
    body = object_store.client().get_object(Bucket=bucket, Key="manifest.json")["Body"].read().decode()
    assert winners == [f"won {body}"]
    assert set(outcomes) - set(winners) <= {"PreconditionFailed", "ConditionalRequestConflict"}


def test_bytes_that_do_not_match_their_digest_are_refused(object_store: ObjectStore, bucket: str) -> None:
    client = object_store.client()
    digest = base64.b64encode(hashlib.sha256(b"other bytes").digest()).decode()
    code = _code(lambda: client.put_object(Bucket=bucket, Key="photo", Body=b"bytes", ChecksumSHA256=digest))
    assert code == "BadDigest"
    assert _code(lambda: client.head_object(Bucket=bucket, Key="photo")) == "404"


def test_a_presigned_form_holds_its_size_limit(object_store: ObjectStore, bucket: str) -> None:
    form = object_store.client().generate_presigned_post(
        bucket, "photo", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60
    )
    with httpx.Client(timeout=60) as http:
        answers = [http.post(form["url"], data=form["fields"], files={"file": body}) for body in (b"x" * 11, b"x" * 10)]
    assert [answer.is_success for answer in answers] == [False, True]


def test_strangers_are_refused(object_store: ObjectStore, bucket: str) -> None:
    assert httpx.get(f"{object_store.endpoint_url}/{bucket}", timeout=60).status_code == 403


def test_every_sdk_finds_the_service_in_the_environment(
    object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    assert bucket in {each["Name"] for each in boto3.Session().client("s3").list_buckets()["Buckets"]}


def test_a_paused_service_answers_nobody_until_it_goes_on(object_store: ObjectStore, bucket: str) -> None:
    impatient = object_store.client(Config(read_timeout=1, retries={"total_max_attempts": 1}))
    object_store.pause()
    try:
        with pytest.raises(ReadTimeoutError):
            impatient.list_objects_v2(Bucket=bucket)
    finally:
        object_store.resume()
    assert object_store.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_nothing_is_left_when_the_parent_is_killed(
    tmp_path: Path, run_script: "RunScript", processes_of: "Marked", eventually: "Eventually"
) -> None:
    parent = run_script(f"""
import time
from pathlib import Path
from rekindle_dev.s3 import ObjectStore
store = ObjectStore.start(Path({str(tmp_path)!r}))
print(store.endpoint_url, flush=True)
time.sleep(600)
""")
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("http://127.0.0.1:")
    assert processes_of(tmp_path)
    parent.kill()
    parent.wait(30)
    eventually(lambda: not processes_of(tmp_path))
