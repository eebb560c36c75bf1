"""RestoreJobs that an admin makes with kubectl, without the API: good ones, bad ones, and ones that have to wait."""

import secrets
from typing import Any

import pytest
from tests.e2e.photos import damaged_photo

from rekindle_dev import programs

pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.slow]


def restore_job(name: str, bucket: str, key: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "rekindle.dev/v1alpha1",
        "kind": "RestoreJob",
        "metadata": {"name": name},
        "spec": {
            "source": {"bucket": bucket, "key": key},
            "output": {"bucket": bucket, "prefix": f"made/{name}"},
            **spec,
        },
    }


def condition(job: dict[str, Any], kind: str) -> tuple[str, str]:
    found = next(each for each in job["status"]["conditions"] if each["type"] == kind)
    return found["status"], found["reason"]


@pytest.fixture
def store(stack):
    return stack.object_store


@pytest.fixture
def name() -> str:
    return f"by-hand-{secrets.token_hex(3)}"


def test_a_job_made_by_hand_needs_no_api(cluster, store, name):
    store.client().put_object(Bucket=store.bucket, Key=f"{name}.jpg", Body=damaged_photo(seed=51))
    cluster.apply(restore_job(name, store.bucket, f"{name}.jpg", restore={"format": "PNG", "maxMegapixels": 1}))
    cluster.kubectl("wait", "--for=condition=Succeeded", "--timeout=60s", f"rjob/{name}")
    result = cluster.job(name)["status"]["result"]
    stored = {each["name"]: each for each in result["outputs"]}
    assert set(stored) == {"Result", "Preview", "Thumbnail"}
    head = store.client().head_object(Bucket=store.bucket, Key=stored["Result"]["key"])
    assert head["ContentLength"] == stored["Result"]["bytes"]
    assert stored["Result"]["mediaType"] == "image/png"


@pytest.mark.parametrize(
    ("body", "reason"),
    [(None, "SourceNotFound"), (b"I am a letter, not a photo.", "UnreadableImage"), (b"", "UnreadableImage")],
    ids=["missing", "text", "empty"],
)
def test_a_source_that_is_no_photo_fails_at_once_and_says_why(cluster, store, name, body, reason):
    if body is not None:
        store.client().put_object(Bucket=store.bucket, Key=name, Body=body)
    cluster.apply(restore_job(name, store.bucket, name))
    cluster.kubectl("wait", "--for=condition=Finished", "--timeout=60s", f"rjob/{name}")
    job = cluster.job(name)
    assert condition(job, "Succeeded") == ("False", reason)
    assert condition(job, "Stalled")[0] == "True"
    assert job["status"]["attempt"] == 1
    assert job["status"]["attempts"][0]["message"]


def test_a_job_waits_for_its_engine_and_starts_when_it_appears(cluster, store, name, eventually):
    store.client().put_object(Bucket=store.bucket, Key=f"{name}.jpg", Body=damaged_photo(seed=52))
    cluster.apply(restore_job(name, store.bucket, f"{name}.jpg", engineName=name))
    eventually(lambda: cluster.job(name)["status"].get("waiting", {}).get("reason") == "EngineNotFound")
    assert condition(cluster.job(name), "Succeeded")[0] == "Unknown"
    engine = programs.engine(store.environment())
    cluster.apply({**engine, "metadata": {"name": name}, "spec": {**engine["spec"], "default": False}})
    cluster.kubectl("wait", "--for=condition=Succeeded", "--timeout=60s", f"rjob/{name}")
    assert cluster.job(name)["status"]["engineName"] == name


def test_a_cancelled_job_stops_and_says_so(cluster, store, name, eventually):
    store.client().put_object(Bucket=store.bucket, Key=f"{name}.jpg", Body=damaged_photo(2048, seed=53))
    cluster.apply(restore_job(name, store.bucket, f"{name}.jpg"))
    eventually(lambda: cluster.job(name)["status"].get("phase") == "Running")
    cluster.kubectl("patch", "rjob", name, "--type=merge", "-p", '{"spec":{"cancel":true}}')
    cluster.kubectl("wait", "--for=condition=Finished", "--timeout=60s", f"rjob/{name}")
    job = cluster.job(name)
    assert job["status"]["phase"] == "Cancelled"
    assert condition(job, "Succeeded") == ("False", "Cancelled")
    assert store.client().list_objects_v2(Bucket=store.bucket, Prefix=f"made/{name}").get("KeyCount", 0) == 0
