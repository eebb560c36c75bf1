"""One photo the whole way, and what becomes of it when something fails or is killed on the way."""

import io
import json
import os
import subprocess
import sys
from typing import Any, LiteralString

import httpx
import numpy as np
import psycopg
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tests.e2e.photos import clean_photo, damaged_photo

from rekindle_dev import programs
from rekindle_dev.stack import Stack
from rekindle_dev.visitor import parse_events

pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.slow]


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def similarity(photo: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    return (
        float(peak_signal_noise_ratio(clean, photo)),
        float(structural_similarity(clean, photo, channel_axis=-1)),
    )


def sweep(stack: Stack) -> None:
    """Run `rekindle-api sweep` once, as a CronJob does, without the quiet time after the end of an attempt."""
    environment = {**os.environ, **programs.bridge(stack.addresses, 0).environment, "DELETION_QUIET_SECONDS": "0"}
    subprocess.run([sys.executable, "-m", "rekindle_api.cli", "sweep"], env=environment, check=True)


def rows(stack: Stack, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


def resource_of(attempt_id: str) -> str:
    return f"r-{attempt_id.replace('-', '')}"


def test_an_uploaded_photo_comes_back_restored_and_better_than_it_was(user, eventually):
    damaged, clean = damaged_photo(seed=11), clean_photo(512)
    photo_id = user.upload(damaged)
    user.subscribe("remember")
    attempt_id = user.restore(photo_id)
    attempt = eventually(lambda: user.ended(photo_id, attempt_id))
    assert attempt["s3_key"] != "failed"
    assert attempt["watermarked"] is False
    answer = httpx.get(attempt["url"])
    assert "attachment" in answer.headers["content-disposition"]
    restored = pixels(answer.content)
    assert restored.shape == clean.shape
    before, after = similarity(pixels(damaged), clean), similarity(restored, clean)
    assert after[0] > before[0]
    assert after[1] > before[1]


def test_a_free_users_photo_comes_back_under_a_watermark_until_there_is_a_subscription(
    user, cluster, stack, eventually
):
    photo_id = user.upload(damaged_photo(seed=51))
    attempt_id = user.restore(photo_id, restore={"colourize": True})
    attempt = eventually(lambda: user.ended(photo_id, attempt_id))
    spec = cluster.job(resource_of(attempt_id))["spec"]
    assert (spec["restore"]["watermark"], spec["priority"]) == ("Rekindle", 0)
    assert attempt["watermarked"] is True
    assert attempt["s3_key"].endswith("/watermarked-result.jpg")
    assert attempt["unfulfilled"] == ["colorize"]
    marked = pixels(httpx.get(attempt["url"]).content)
    download = user.http.get(f"/api/v1/photos/{photo_id}/download-url", params={"key_type": "processed"}).json()
    assert np.array_equal(pixels(httpx.get(download["url"]).content), marked)

    user.subscribe("remember")
    attempt = user.attempt(photo_id, attempt_id)
    assert attempt["watermarked"] is False
    clean = pixels(httpx.get(attempt["url"]).content)
    assert clean.shape == marked.shape
    assert 0.03 < (np.abs(clean.astype(int) - marked).max(axis=2) > 12).mean() < 0.4
    [[stored]] = rows(stack, "SELECT stored_bytes FROM restore_attempts WHERE id = %s", attempt_id)
    outputs = cluster.job(resource_of(attempt_id))["status"]["result"]["outputs"]
    assert stored == sum(output["bytes"] for output in outputs)


def test_the_event_stream_tells_the_progress_and_the_end(user):
    photo_id = user.upload(damaged_photo(1024, seed=12))
    attempt_id = user.restore(photo_id)
    seen = []
    with user.http.stream("GET", f"/api/v1/events/{photo_id}") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for event, data in parse_events(stream.iter_lines()):
            seen.append(event)
            if event == "completed":
                assert data["job_id"] == photo_id
                assert data["restore_id"] == attempt_id
                assert data["status"] == "completed"
                break
    assert seen[0] == "snapshot"
    assert "progress" in seen


def test_an_admin_sees_with_kubectl_what_became_of_a_job(user, cluster, eventually):
    photo_id = user.upload(damaged_photo(seed=13))
    attempt_id = user.restore(photo_id)
    name = resource_of(attempt_id)
    eventually(lambda: cluster.kubectl("get", "rjob", name, "-o", "name", check=False))
    cluster.kubectl("wait", "--for=condition=Finished", "--timeout=60s", f"rjob/{name}")
    row = cluster.kubectl("get", "rjob", name, "-o", "wide").splitlines()[1].split()
    assert row[:2] == [name, "Succeeded"]
    assert "process-node" in row
    described = eventually(
        lambda: text if "Completed" in (text := cluster.kubectl("describe", "rjob", name)).split("Events:")[1] else None
    )
    assert "Normal" in described
    job = cluster.job(name)
    attempt = eventually(lambda: user.ended(photo_id, attempt_id))
    assert attempt["s3_key"] in [each["key"] for each in job["status"]["result"]["outputs"]]
    child = job["status"]["run"]["name"]
    progress = [
        json.loads(line) for line in cluster.kubectl("logs", f"job/{child}").splitlines() if '"percent"' in line
    ]
    assert progress[-1]["percent"] == 100


def test_a_killed_container_is_retried_and_the_attempt_still_ends_once(user, cluster, eventually):
    photo_id = user.upload(damaged_photo(2048, seed=14))
    attempt_id = user.restore(photo_id)
    name = resource_of(attempt_id)
    eventually(lambda: cluster.kubectl("get", "rjob", name, "-o", "name", check=False))
    eventually(lambda: cluster.kill_container_of(name))
    attempt = eventually(lambda: user.ended(photo_id, attempt_id), seconds=120)
    assert attempt["s3_key"] != "failed"
    first, second = cluster.attempts_of(name)
    assert first["exitCode"] == 137
    assert first["podUid"] != second["podUid"]
    assert second["reason"] == "Completed"
    assert second["podUid"] in attempt["s3_key"]


def test_a_photo_that_vanished_from_s3_fails_with_its_reason(user, cluster, stack, eventually):
    photo_id = user.upload(damaged_photo(seed=15))
    key = user.http.get(f"/api/v1/photos/{photo_id}").json()["photo"]["original_key"]
    stack.object_store.client().delete_object(Bucket=stack.object_store.bucket, Key=key)
    attempt_id = user.restore(photo_id)
    attempt = eventually(lambda: user.ended(photo_id, attempt_id))
    assert attempt["s3_key"] == "failed"
    status = cluster.job(resource_of(attempt_id))["status"]
    succeeded = next(each for each in status["conditions"] if each["type"] == "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "SourceNotFound")
    assert status["attempt"] == 1


def test_a_photo_deleted_while_it_is_restored_leaves_no_object_behind(user, cluster, stack, eventually):
    photo_id = user.upload(damaged_photo(2048, seed=16))
    attempt_id = user.restore(photo_id)
    name = resource_of(attempt_id)
    eventually(lambda: cluster.kubectl("get", "rjob", name, "-o", "name", check=False))
    eventually(lambda: cluster.attempts_of(name))
    assert user.http.delete(f"/api/v1/photos/{photo_id}").status_code == 200
    assert user.http.get(f"/api/v1/photos/{photo_id}").status_code == 404
    eventually(lambda: cluster.job(name)["status"]["phase"] == "Cancelled")
    client, bucket = stack.object_store.client(), stack.object_store.bucket

    def swept() -> bool:
        sweep(stack)
        listed = client.list_objects_v2(Bucket=bucket)
        return not [each["Key"] for each in listed.get("Contents", []) if photo_id in each["Key"]]

    eventually(swept)


@pytest.mark.parametrize("victim", ["bridge", "operator"])
def test_a_process_killed_in_the_middle_loses_and_doubles_nothing(user, cluster, stack, eventually, victim):
    photo_id = user.upload(damaged_photo(2048, seed=17 + len(victim)))
    attempt_id = user.restore(photo_id)
    name = resource_of(attempt_id)
    eventually(lambda: cluster.kubectl("get", "rjob", name, "-o", "name", check=False))
    eventually(lambda: cluster.attempts_of(name))
    service = getattr(stack, victim)
    service.kill()
    service.restart()
    attempt = eventually(lambda: user.ended(photo_id, attempt_id), seconds=120)
    assert attempt["s3_key"] != "failed"
    children = json.loads(cluster.kubectl("get", "jobs", "-o", "json"))["items"]
    uid = cluster.job(name)["metadata"]["uid"]
    assert len([each for each in children if each["metadata"]["ownerReferences"][0]["uid"] == uid]) == 1
    assert len(cluster.attempts_of(name)) == 1


@pytest.mark.parametrize("victim", ["bridge", "operator"])
def test_a_request_made_while_a_process_is_down_is_done_when_it_is_back(user, stack, eventually, victim):
    photo_id = user.upload(damaged_photo(seed=31 + len(victim)))
    service = getattr(stack, victim)
    service.kill()
    attempt_id = user.restore(photo_id)
    service.restart()
    assert eventually(lambda: user.ended(photo_id, attempt_id))["s3_key"] != "failed"
