"""`rekindle-worker run` against a real S3: results, failures, signals and races."""

import hashlib
import io
import json
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rekindle_crds import ExitCode, OutputName, ProgressLine, Reason

pytestmark = pytest.mark.stack


def _large_photo() -> bytes:
    # Noise keeps every step busy, long enough for a signal to arrive in the middle of one.
    random = np.random.default_rng(1)
    pixels = random.integers(60, 200, (1500, 2000, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def test_a_photo_is_restored_and_committed(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    task = workplace.task(format="PNG", prompt="make it nice", colorize="IfAvailable")
    code, pod = workplace.run(task)
    assert code == ExitCode.DONE, pod.errors
    assert workplace.keys("out") == [
        "out/manifest.json",
        "out/pod-1/preview.webp",
        "out/pod-1/result.png",
        "out/pod-1/thumbnail.webp",
    ]
    manifest = workplace.manifest()
    assert manifest.task_digest == task.digest
    assert manifest.source_sha256 == hashlib.sha256(old_photo.read_bytes()).hexdigest()
    assert (manifest.source_width, manifest.source_height) == (300, 256)
    assert [step.name for step in manifest.steps if step.applied][:2] == ["find-damage", "repair"]
    for output in manifest.outputs:
        body = workplace.get(output.key)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (output.bytes, output.sha256)
        with Image.open(io.BytesIO(body)) as image:
            assert image.size == (output.width, output.height)
            assert Image.MIME[image.format or ""] == output.media_type
    result = pod.message.result
    assert pod.message.reason == Reason.COMPLETED
    assert result is not None
    assert result.outputs == manifest.outputs
    assert [output.name for output in result.outputs] == [
        OutputName.RESULT,
        OutputName.PREVIEW,
        OutputName.THUMBNAIL,
    ]
    assert [warning.partition(":")[0] for warning in result.warnings] == ["colorize", "prompt"]
    assert result.provenance.image == "registry.example/rekindle-worker:1"


def test_progress_rises_to_one_hundred_percent(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    _, pod = workplace.run(workplace.task())
    lines = [ProgressLine.model_validate_json(line) for line in pod.lines]
    percents = [line.percent for line in lines]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len({line.stage for line in lines}) > 5


def test_credentials_appear_in_no_output(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    for uid, task in (("pod-1", workplace.task()), ("pod-2", workplace.task(source="in/none", prefix="other"))):
        _, pod = workplace.run(task, uid)
        said = "".join(pod.lines) + pod.errors + pod.termination_log.read_text()
        for name, value in workplace.environment.items():
            if "KEY" in name:
                assert value not in said


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, ExitCode.SOURCE_NOT_FOUND),
        (b"", ExitCode.UNREADABLE_IMAGE),
        (b"GIF89a, or so it says", ExitCode.UNREADABLE_IMAGE),
        (b"\xff\xd8\xff\xe0 cut off", ExitCode.UNREADABLE_IMAGE),
    ],
    ids=["missing", "empty", "no image", "truncated"],
)
def test_a_bad_source_has_its_exit_code_and_leaves_nothing(workplace, body: bytes | None, expected: ExitCode) -> None:
    if body is not None:
        workplace.put("in/photo", body)
    code, pod = workplace.run(workplace.task())
    assert code == expected
    assert pod.message.reason == expected.reason
    assert pod.message.message
    assert pod.message.result is None
    assert workplace.keys("out") == []


def test_a_bomb_is_refused_by_its_size(workplace) -> None:
    file = io.BytesIO()
    Image.new("1", (14_000, 14_000)).save(file, "PNG")
    workplace.put("in/photo", file.getvalue())
    code, pod = workplace.run(workplace.task())
    assert code == ExitCode.IMAGE_TOO_LARGE
    assert "14000 x 14000" in pod.message.message


def test_refused_credentials_are_the_sources_fault(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    code, pod = workplace.run(workplace.task(), AWS_SECRET_ACCESS_KEY="wrong")
    assert code == ExitCode.SOURCE_FORBIDDEN
    assert pod.message.reason == Reason.SOURCE_FORBIDDEN


def test_a_store_that_does_not_answer_is_worth_a_retry(workplace) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, pod = workplace.run(workplace.task(), AWS_ENDPOINT_URL_S3=endpoint)
    assert code == ExitCode.STORAGE_UNAVAILABLE
    assert pod.message.reason == Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(
    "task",
    [None, "", "not json", "{}", json.dumps({"operation": "Dance"})],
    ids=["absent", "empty", "no JSON", "fields missing", "unknown operation"],
)
def test_a_task_that_is_not_understood_is_invalid(workplace, task: str | None) -> None:
    code, pod = workplace.run(task)
    assert code == ExitCode.INVALID_TASK
    assert pod.message.reason == Reason.INVALID_TASK
    assert "REKINDLE_TASK" in pod.message.message


def test_a_second_pod_adopts_what_is_committed(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    _, first = workplace.run(workplace.task(), "pod-1")
    code, second = workplace.run(workplace.task(), "pod-2")
    assert code == ExitCode.DONE
    assert second.message.result == first.message.result
    assert workplace.keys("out/pod-2") == []


def test_another_tasks_result_is_never_overwritten(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    workplace.run(workplace.task(), "pod-1")
    before = workplace.get("out/manifest.json")
    code, pod = workplace.run(workplace.task(denoise=0), "pod-2")
    assert code == ExitCode.OUTPUT_EXISTS
    assert pod.message.reason == Reason.OUTPUT_EXISTS
    assert workplace.get("out/manifest.json") == before
    assert workplace.keys("out/pod-2") == []


def test_of_two_racing_pods_one_commits_and_both_report_its_result(workplace, old_photo: Path) -> None:
    workplace.put("in/photo", old_photo.read_bytes())
    pods = [workplace.start(workplace.task(), f"pod-{number}") for number in (1, 2, 3)]
    assert [pod.finish() for pod in pods] == [ExitCode.DONE] * 3
    winner = workplace.manifest().pod_uid
    assert {key.split("/")[1] for key in workplace.keys("out")} == {"manifest.json", winner}
    assert all(pod.message.result == pods[0].message.result for pod in pods)


@pytest.mark.parametrize("stage", ["fetch", "find-damage", "denoise", "encode"])
def test_a_stopped_worker_leaves_nothing_and_says_so(workplace, stage: str) -> None:
    workplace.put("in/photo", _large_photo())
    pod = workplace.start(workplace.task())
    pod.wait_for_stage(stage)
    pod.process.send_signal(signal.SIGTERM)
    code = pod.finish()
    # A signal that comes after the commit changes nothing.
    if stage == "encode" and code == ExitCode.DONE:
        assert pod.message.result is not None
        assert pod.message.result.outputs == workplace.manifest().outputs
        return
    assert code == ExitCode.TERMINATED
    assert pod.message.reason == Reason.TERMINATED
    assert pod.message.log_tail
    assert "event=started" in pod.message.log_tail[0]
    assert workplace.keys("out") == []


def test_after_a_kill_the_next_pod_succeeds(workplace) -> None:
    workplace.put("in/photo", _large_photo())
    pod = workplace.start(workplace.task(denoise=0), "pod-1")
    pod.wait_for_stage("store")
    pod.process.kill()
    pod.finish()
    code, second = workplace.run(workplace.task(denoise=0), "pod-2")
    assert code == ExitCode.DONE
    assert second.message.result is not None
    assert workplace.manifest().pod_uid in {"pod-1", "pod-2"}
    assert all(workplace.get(output.key) for output in second.message.result.outputs)
