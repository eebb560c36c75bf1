"""Whatever goes wrong, the plugin says it in a sentence: no traceback, exit code 1, or 2 for wrong usage."""

import json
import os

import pytest

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["restore", "old.jpg"], "name a bucket with --bucket"),
        (["restore", "old.jpg", "--bucket", "A_B"], "bucket 'A_B'"),
        (["restore", "s3://bucket"], "write s3://BUCKET/KEY"),
        (["restore", "old.jpg", "--bucket", "photos", "--tone", "900"], "--tone: "),
        (["restore", "old.jpg", "--bucket", "photos", "--format", "gif"], "'gif' is none of JPEG, PNG, WebP"),
        (["restore", "old.jpg", "old.jpg", "--bucket", "photos"], "would both become"),
        (["restore", "old.jpg", "--bucket", "photos", "-o", "nowhere"], "there is no such folder"),
        (["restore", "s3://photos/a.jpg", "s3://photos/b.jpg", "--name", "x"], "--name is for one photo"),
        (["restore", "s3://photos/a.jpg", "--name", "Not A Name"], "lower-case letters"),
        (["restore", "s3://photos/a.jpg", "--timeout", "soon"], "is no duration"),
        (["why", "pod/x"], "names no job: write rjob/NAME, ajob/NAME"),
        (["top", "-o", "json"], "-o json needs --once"),
        (["nonsense"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(plugin, photo, arguments, words):
    photo.rename(photo.with_name("old.jpg"))
    scope, plugin.scope = plugin.scope, []
    plugin.command += scope
    assert words in plugin(*arguments, code=2)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "x"}, "S3 does not accept these credentials (InvalidAccessKeyId)"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "S3 does not accept these credentials (SignatureDoesNotMatch)"),
        ({"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": ""}, "There are no S3 credentials"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "S3 at http://127.0.0.1:1 cannot be reached"),
        ({"AWS_ENDPOINT_URL_S3": "nonsense"}, "Invalid endpoint: nonsense"),
    ],
)
def test_trouble_with_s3_is_told_and_no_job_is_made(plugin, api, photo, bucket, environment, words):
    said = plugin("restore", photo.name, "--bucket", bucket, code=1, AWS_EC2_METADATA_DISABLED="true", **environment)
    assert words in said
    assert api.names() == []


def test_no_credentials_at_all_are_told(plugin, photo, bucket):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del plugin.environment[name]
    environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(photo.parent)}
    assert "log in with `aws sso login`" in plugin("restore", photo.name, "--bucket", bucket, code=1, **environment)


def test_a_photo_that_is_not_there_is_told(plugin):
    assert "there is no such file" in plugin("restore", "nowhere.jpg", code=1)
    assert "neither such a file nor such a RestoreJob" in plugin("animate", "nowhere", code=1)


def test_a_job_that_is_not_there_is_told(plugin):
    said = plugin("why", "nobody", code=1)
    assert "There is no RestoreJob or AnimationJob 'nobody'" in said
    assert "There is no AnimationJob 'nobody'" in plugin("cancel", "ajob/nobody", code=1)


def test_a_name_that_two_jobs_have_must_say_its_kind(plugin, api):
    api.restore_job("twin")
    api.animation_job("twin", source={"bucket": "photos", "key": "in/twin.jpg"})
    assert "say rjob/twin or ajob/twin" in plugin("why", "twin", code=1)
    assert "ajob/twin" in plugin("why", "animationjob/twin")
    assert "rjob/twin" in plugin("why", "restorejob.rekindle.dev/twin")


@pytest.fixture
def kubeconfig(control_plane, tmp_path):
    """Writes a kubeconfig like that of the control plane, with something changed."""

    def write(user=None, **cluster):
        content = json.loads(control_plane.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        content["clusters"][0]["cluster"].update(cluster)
        content["users"][0]["user"] = user or content["users"][0]["user"]
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(content))
        return str(path)

    return write


def test_an_api_server_that_does_not_answer_is_told(plugin, kubeconfig):
    dead = kubeconfig(server="https://127.0.0.1:1")
    said = plugin("top", "--once", "--kubeconfig", dead, code=1)
    assert "The API server at https://127.0.0.1:1 does not answer: connection refused." in said


def test_a_cluster_without_the_custom_resources_is_told(plugin, control_plane, kubeconfig):
    elsewhere = kubeconfig(server=f"{control_plane.server}/nothing")
    for command in (["why", "x"], ["top", "--once"], ["restore", "s3://photos/a.jpg", "--no-wait"]):
        said = plugin(*command, "--kubeconfig", elsewhere, code=1)
        assert "are Rekindle's CustomResourceDefinitions installed?" in said


def test_credentials_that_the_cluster_does_not_know_are_told(plugin, kubeconfig):
    said = plugin("why", "x", "--kubeconfig", kubeconfig(user={"token": "wrong"}), code=1)
    assert "does not know these credentials" in said


def test_a_right_that_is_missing_is_told(plugin, api, kubeconfig):
    token = api.kubectl("create", "token", "default").strip()
    said = plugin("top", "--once", "--kubeconfig", kubeconfig(user={"token": token}), code=1)
    assert "You may not do this" in said
    assert 'cannot list resource "restorejobs"' in said


def test_a_context_or_a_kubeconfig_that_is_not_there_is_told(plugin, tmp_path):
    assert "no context 'nowhere'" in plugin("top", "--context", "nowhere", code=1)
    assert "No cluster to talk to" in plugin("top", "--kubeconfig", str(tmp_path / "nothing"), code=1)
    (tmp_path / "text").write_text("just words")
    assert "is no valid kubeconfig" in plugin("top", "--kubeconfig", str(tmp_path / "text"), code=1)


def test_the_namespace_is_that_of_the_context_unless_one_is_named(plugin, api, kubeconfig, tmp_path):
    api.restore_job("mine")
    path = kubeconfig()
    content = json.loads((tmp_path / "kubeconfig").read_text())
    content["contexts"][0]["context"]["namespace"] = api.namespace
    (tmp_path / "kubeconfig").write_text(json.dumps(content))
    plugin.scope = []
    assert "rjob/mine" in plugin("top", "--once", KUBECONFIG=path)
    assert "rjob/mine" not in plugin("-n", "default", "top", "--once", KUBECONFIG=path)
    merged = os.pathsep.join([str(tmp_path / "missing"), path])
    assert "rjob/mine" in plugin("top", "--once", KUBECONFIG=merged)
