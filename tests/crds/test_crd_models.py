"""The models themselves: bounds, digests, exit codes, and the generated files."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rekindle_crds import (
    AnimationJob,
    AnimationParameters,
    Engine,
    ExitCode,
    JobStatus,
    Operation,
    OutputLocation,
    Reason,
    RestoreJob,
    RestoreParameters,
    SourceLocation,
    Task,
    TerminationMessage,
)
from rekindle_crds.crd import RESOURCES, manifest
from rekindle_crds.exits import reason_of
from rekindle_crds.generate import generated_files

ROOT = Path(__file__).resolve().parents[2]


def filled(schema: dict[str, Any]) -> Any:
    """Return the largest value that a schema allows."""
    if "enum" in schema:
        return max(schema["enum"], key=lambda value: len(str(value)))
    kind = schema["type"]
    if kind == "object":
        return {name: filled(child) for name, child in schema.get("properties", {}).items()}
    if kind == "array":
        return [filled(schema["items"]) for _ in range(schema["maxItems"])]
    if kind == "integer":
        return schema.get("maximum", 2**53)
    if kind == "boolean":
        return False
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return "x" * schema["maxLength"]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_a_status_with_every_field_full_stays_under_32_kib(resource):
    schema = manifest(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    largest = json.dumps(filled(schema), separators=(",", ":"))
    assert 1_000 < len(largest) < 32 * 1024


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_every_string_list_map_and_number_has_a_bound(resource):
    def walk(schema: dict[str, Any], path: str) -> None:
        kind = schema.get("type")
        if kind == "string":
            assert "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time", path
        if kind == "array":
            assert "maxItems" in schema, path
            assert "x-kubernetes-list-type" in schema, path
            walk(schema["items"], f"{path}[]")
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path
            walk(schema["additionalProperties"], f"{path}.*")
        for name, child in schema.get("properties", {}).items():
            walk(child, f"{path}.{name}")

    schema = manifest(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    walk(schema["properties"]["spec"], "spec")
    walk(schema["properties"]["status"], "status")


def test_the_generated_files_are_up_to_date():
    stale = [str(path) for path, text in generated_files().items() if (ROOT / path).read_text("utf-8") != text]
    assert stale == []


def task(**changes: Any) -> Task:
    values = {
        "operation": Operation.RESTORE,
        "namespace": "photos",
        "name": "one",
        "engine": "default",
        "source": SourceLocation(bucket="photos", key="in.jpg"),
        "output": OutputLocation(bucket="photos", prefix="out"),
        "restore": RestoreParameters(),
    }
    return Task(**(values | changes))


@pytest.mark.parametrize("change", [{"name": "two"}, {"engine": "gpu"}, {"image": "x:2"}, {"namespace": "other"}])
def test_two_pods_with_the_same_work_have_the_same_digest_whoever_runs_them(change):
    assert task(**change).digest == task().digest


@pytest.mark.parametrize(
    "change",
    [
        {"source": SourceLocation(bucket="photos", key="other.jpg")},
        {"output": OutputLocation(bucket="photos", prefix="elsewhere")},
        {"restore": RestoreParameters(tone=1)},
        {"restore": RestoreParameters(watermark="Rekindle")},
    ],
)
def test_other_work_has_another_digest(change):
    assert task(**change).digest != task().digest


def test_a_task_without_a_watermark_has_the_digest_that_it_always_had():
    assert "watermark" not in task().model_dump_json(by_alias=True, exclude_none=True)
    assert task().digest == "6176a9824793f4c5df0a317a57c110d7bd2011f982fcad76777f1722db52cc60"


@pytest.mark.parametrize("text", ["", " ", "x" * 41, "two\nlines", "\0"])
def test_a_watermark_is_one_line_of_visible_text(text):
    with pytest.raises(ValidationError):
        RestoreParameters(watermark=text)
    with pytest.raises(ValidationError):
        AnimationParameters(watermark=text)


def test_a_task_survives_the_way_through_json():
    assert Task.model_validate_json(task().model_dump_json(by_alias=True)) == task()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, Reason.COMPLETED),
        (10, Reason.SOURCE_NOT_FOUND),
        (19, Reason.INPUT_REFUSED),
        (20, Reason.TERMINATED),
        (29, Reason.TRANSIENT_FAILURE),
        (1, Reason.ENGINE_ERROR),
        (137, Reason.ENGINE_ERROR),
    ],
)
def test_every_exit_code_has_a_reason(code, reason):
    assert reason_of(code) is reason


def test_every_exit_code_stands_in_its_own_range():
    for code in ExitCode:
        assert code == 0 or 10 <= code < 30


def test_models_read_objects_of_a_newer_version():
    job = RestoreJob.model_validate(
        {
            "apiVersion": "rekindle.dev/v1alpha1",
            "kind": "RestoreJob",
            "metadata": {"name": "a", "namespace": "b", "managedFields": [], "uid": "u"},
            "spec": {"source": {"bucket": "abc", "key": "k"}, "output": {"bucket": "abc", "prefix": "p"}, "novel": 1},
            "status": {"observedGeneration": -1, "novel": {}},
        }
    )
    assert job.metadata.name == "a"
    assert job.spec.restore.tone == 90


def test_times_are_written_with_the_precision_of_kubernetes():
    status = JobStatus(start_time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    assert status.wire()["startTime"] == "2026-01-02T03:04:05Z"


def test_values_cannot_be_changed_in_place():
    with pytest.raises(ValidationError, match="frozen"):
        JobStatus().attempt = 3  # type: ignore[misc]  # the refusal is what is tested


def test_every_field_of_the_models_is_described():
    def fields(model: Any) -> dict[str, FieldInfo]:
        return dict(model.model_fields)

    for model in (RestoreJob, AnimationJob, Engine):
        for part in ("spec", "status"):
            annotation = fields(model)[part].annotation
            assert annotation is not None
            assert not get_args(annotation)
            assert all(info.description for info in fields(annotation).values())


def test_text_for_people_is_cut_to_what_a_status_holds_and_never_refused():
    told = TerminationMessage(reason="EngineError", message="x" * 5000, log_tail=["y" * 5000])
    assert told.message == "x" * 199 + "…"
    assert told.log_tail == ["y" * 119 + "…"]
