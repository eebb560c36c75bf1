"""The rules of the schemas, proved against a real API server."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from rekindle_crds.crd import ANIMATION_JOB, ENGINE, RESTORE_JOB, Resource
from rekindle_crds.meta import GROUP, VERSION

pytestmark = pytest.mark.stack

RESTORE = {"source": {"bucket": "photos", "key": "in/a.jpg"}, "output": {"bucket": "photos", "prefix": "out/a"}}
ANIMATION = {"source": {"restoreJobName": "first"}, "output": {"bucket": "photos", "prefix": "out/a"}}
ENGINE_SPEC = {"operations": ["Restore"], "image": "example.com/engine:1"}


@pytest.fixture(scope="module")
def api(control_plane) -> Iterator[client.CustomObjectsApi]:
    with config.new_client_from_config(str(control_plane.kubeconfig)) as connection:
        yield client.CustomObjectsApi(connection)


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `base` with the field at the dotted path set."""
    copy = deepcopy(base)
    *parents, leaf = path.split(".")
    inner = copy
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[leaf] = value
    return copy


def create(api, namespace: str, resource: Resource, spec: dict[str, Any], name="one", **options: Any) -> Any:
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": resource.kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    return api.create_namespaced_custom_object(
        GROUP, VERSION, namespace, resource.plural, body, field_validation="Strict", **options
    )


GOOD = [
    (RESTORE_JOB, "restore.tone", 0),
    (RESTORE_JOB, "restore.tone", 100),
    (RESTORE_JOB, "restore.maxMegapixels", 1),
    (RESTORE_JOB, "restore.format", "WebP"),
    (RESTORE_JOB, "restore.prompt", "keep the hat"),
    (RESTORE_JOB, "engineName", "gpu-engine.v2"),
    (RESTORE_JOB, "backoffLimit", 0),
    (RESTORE_JOB, "cancel", True),
    (RESTORE_JOB, "startDeadlineSeconds", 60),
    (RESTORE_JOB, "activeDeadlineSeconds", 60),
    (RESTORE_JOB, "priority", -5),
    (RESTORE_JOB, "queueName", "team-a"),
    (RESTORE_JOB, "suspend", True),
    (RESTORE_JOB, "ttlSecondsAfterSucceeded", 0),
    (RESTORE_JOB, "ttlSecondsAfterFailed", 86_400),
    (RESTORE_JOB, "source.key", "Grandma's photo (1912) ü.jpg"),
    (RESTORE_JOB, "source.key", "out/another.jpg"),
    (RESTORE_JOB, "output.prefix", "users/0f-1/photos/a_b/attempts/1"),
    (ANIMATION_JOB, "source", {"bucket": "photos", "key": "in/a.jpg"}),
    (ANIMATION_JOB, "animation.durationSeconds", 30),
    (ANIMATION_JOB, "animation.resolution", "1080p"),
    (ENGINE, "maxRunning", 3),
    (ENGINE, "operations", ["Restore", "Animate"]),
    (ENGINE, "resources", {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"nvidia.com/gpu": 1}}),
    (ENGINE, "env", [{"name": "A", "value": ""}]),
    (ENGINE, "env", [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "id"}}}]),
    (ENGINE, "tolerations", [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]),
    (ENGINE, "scratchSize", "10Gi"),
]

BAD = [
    (RESTORE_JOB, "source", None, "source"),
    (RESTORE_JOB, "source.key", "", "at least 1"),
    (RESTORE_JOB, "source.key", "/absolute", "should match"),
    (RESTORE_JOB, "source.key", "a\nb", "should match"),
    (RESTORE_JOB, "source.key", "k" * 1025, "Too long"),
    (RESTORE_JOB, "source.key", "out/a/result.jpg", "must not lie under output.prefix"),
    (RESTORE_JOB, "source.bucket", "No_Bucket", "should match"),
    (RESTORE_JOB, "source.url", "https://example.com", "unknown field"),
    (RESTORE_JOB, "output.prefix", "ends/with/", "should match"),
    (RESTORE_JOB, "restore.tone", 101, "less than or equal to 100"),
    (RESTORE_JOB, "restore.tone", -1, "greater than or equal to 0"),
    (RESTORE_JOB, "restore.tone", 0.5, "must be of type integer"),
    (RESTORE_JOB, "restore.format", "GIF", "Unsupported value"),
    (RESTORE_JOB, "restore.prompt", "x" * 501, "Too long"),
    (RESTORE_JOB, "restore.magic", True, "unknown field"),
    (RESTORE_JOB, "backoffLimit", 11, "less than or equal to 10"),
    (RESTORE_JOB, "engineName", "Upper", "should match"),
    (RESTORE_JOB, "startDeadlineSeconds", 0, "greater than or equal to 1"),
    (RESTORE_JOB, "priority", 1_000_001, "less than or equal to 1000000"),
    (RESTORE_JOB, "queueName", "Team A", "should match"),
    (RESTORE_JOB, "ttlSecondsAfterFailed", -1, "greater than or equal to 0"),
    (ANIMATION_JOB, "source", {}, "set either bucket and key, or restoreJobName"),
    (ANIMATION_JOB, "source", {"bucket": "photos"}, "set either bucket and key, or restoreJobName"),
    (ANIMATION_JOB, "source.bucket", "photos", "set either bucket and key, or restoreJobName"),
    (ANIMATION_JOB, "source", {"bucket": "photos", "key": "out/a/b.jpg"}, "must not lie under output.prefix"),
    (ANIMATION_JOB, "animation.style", "Dance", "Unsupported value"),
    (ANIMATION_JOB, "animation.durationSeconds", 31, "less than or equal to 30"),
    (ANIMATION_JOB, "animation.resolution", "4k", "Unsupported value"),
    (ENGINE, "operations", [], "at least 1"),
    (ENGINE, "operations", ["Restore", "Restore"], "Duplicate value"),
    (ENGINE, "operations", ["Fly"], "Unsupported value"),
    (ENGINE, "image", "", "at least 1"),
    (ENGINE, "env", [{"name": "A"}], "exactly one of value and valueFrom"),
    (
        ENGINE,
        "env",
        [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "exactly one of value and valueFrom",
    ),
    (ENGINE, "env", [{"name": "REKINDLE_TASK", "value": "x"}], "set by the operator"),
    (ENGINE, "env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], "Duplicate value"),
    (ENGINE, "maxRunning", 0, "greater than or equal to 1"),
    (ENGINE, "scratchSize", "big", "should match"),
    (ENGINE, "resources", {"limits": {"memory": "lots"}}, "should match"),
]


def spec_of(resource: Resource) -> dict[str, Any]:
    specs: dict[str, dict[str, Any]] = {"RestoreJob": RESTORE, "AnimationJob": ANIMATION, "Engine": ENGINE_SPEC}
    return specs[resource.kind]


@pytest.mark.parametrize(("resource", "path", "value"), GOOD, ids=lambda v: getattr(v, "kind", None))
def test_a_good_object_is_accepted(api, namespace, resource, path, value):
    created = create(api, namespace, resource, changed(spec_of(resource), path, value), dry_run="All")
    assert created["spec"]


@pytest.mark.parametrize(("resource", "path", "value", "message"), BAD, ids=lambda v: getattr(v, "kind", None))
def test_a_bad_object_is_refused_with_a_message_that_says_why(api, namespace, resource, path, value, message):
    with pytest.raises(ApiException) as refused:
        create(api, namespace, resource, changed(spec_of(resource), path, value), dry_run="All")
    assert refused.value.status in (400, 422)
    assert message in str(refused.value.body)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"source": {"key": "in/b.jpg"}}, "source is immutable"),
        ({"output": {"prefix": "out/b"}}, "output is immutable"),
        ({"restore": {"tone": 1}}, "restore is immutable"),
        ({"restore": None}, None),
        ({"cancel": False}, "cancel cannot be taken back"),
        ({"engineName": "another"}, None),
        ({"backoffLimit": 5}, None),
    ],
)
def test_what_a_job_works_on_never_changes_and_cancel_is_one_way(api, namespace, patch, message):
    create(api, namespace, RESTORE_JOB, changed(RESTORE, "cancel", True))
    change = (GROUP, VERSION, namespace, RESTORE_JOB.plural, "one", {"spec": patch})
    if message is None:
        api.patch_namespaced_custom_object(*change)
        return
    with pytest.raises(ApiException) as refused:
        api.patch_namespaced_custom_object(*change)
    assert refused.value.status == 422
    assert message in str(refused.value.body)


def test_a_new_job_has_its_defaults_and_is_not_yet_observed(api, namespace):
    job = create(api, namespace, RESTORE_JOB, RESTORE)
    assert job["spec"]["backoffLimit"] == 3
    assert job["spec"]["restore"] == {
        "repair": 100,
        "inpainting": "Auto",
        "denoise": 50,
        "tone": 90,
        "sharpen": 30,
        "colorMode": "Auto",
        "colorize": "Never",
        "format": "JPEG",
        "quality": 92,
    }
    assert job["status"] == {"observedGeneration": -1}


def test_jobs_can_be_selected_by_engine_and_found_by_short_name_and_category(api, namespace, control_plane):
    create(api, namespace, RESTORE_JOB, changed(RESTORE, "engineName", "gpu"), name="on-gpu")
    create(api, namespace, RESTORE_JOB, RESTORE, name="on-default")
    chosen = control_plane.kubectl(
        "get", "rjob", "-n", namespace, "--field-selector", "spec.engineName=gpu", "-o", "name"
    )
    assert chosen.split() == ["restorejob.rekindle.dev/on-gpu"]
    assert "on-default" in control_plane.kubectl("get", "rekindle", "-n", namespace)


def test_kubectl_explain_describes_every_field(control_plane):
    for resource in ("restorejobs", "animationjobs", "engines"):
        for part in ("spec", "status"):
            text = control_plane.kubectl("explain", f"{resource}.{part}", "--recursive=false")
            assert "<no description>" not in text
