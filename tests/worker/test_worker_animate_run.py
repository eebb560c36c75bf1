"""`rekindle-worker run` for the operation Animate against a real S3: results, refusals, signals and races."""

import hashlib
import io
import json
import signal

import av
import numpy as np
import pytest
from PIL import Image

from rekindle_crds import ExitCode, OutputName, ProgressLine, Reason

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def portrait(photo) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo("astronaut")).save(file, "JPEG", quality=92)
    return file.getvalue()


def _grainy_photo() -> bytes:
    # Grain keeps the encoder busy, long enough for a signal to arrive in the middle.
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(60, 200, (1200, 1600), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def test_a_photo_is_animated_and_committed(workplace, portrait: bytes) -> None:
    workplace.put("in/photo", portrait)
    task = workplace.animation(duration_seconds=2, resolution="480p", prompt="let her wave")
    code, pod = workplace.run(task)
    assert code == ExitCode.DONE, pod.errors
    assert workplace.keys("out") == [
        "out/manifest.json",
        "out/pod-1/poster.jpg",
        "out/pod-1/preview.mp4",
        "out/pod-1/result.mp4",
    ]
    manifest = workplace.manifest()
    assert manifest.task_digest == task.digest
    assert (manifest.source_width, manifest.source_height) == (512, 512)
    assert [step.name for step in manifest.steps] == ["analyse", "animate"]
    assert manifest.steps[0].parameters["faces"] == 1
    assert manifest.steps[1].parameters["style"] == "KenBurns"
    result = pod.message.result
    assert result is not None
    assert result.outputs == manifest.outputs
    assert [output.name for output in result.outputs] == [OutputName.RESULT, OutputName.PREVIEW, OutputName.POSTER]
    assert [warning.partition(":")[0] for warning in result.warnings] == ["prompt"]
    for output in result.outputs:
        body = workplace.get(output.key)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (output.bytes, output.sha256)


def test_every_output_is_what_its_record_says(workplace, portrait: bytes) -> None:
    workplace.put("in/photo", portrait)
    _, pod = workplace.run(workplace.animation(duration_seconds=2))
    assert pod.message.result is not None
    outputs = {output.name: output for output in pod.message.result.outputs}
    for name in (OutputName.RESULT, OutputName.PREVIEW):
        video = outputs[name]
        assert video.media_type == "video/mp4"
        with av.open(io.BytesIO(workplace.get(video.key))) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == (video.width, video.height)
            assert stream.duration is not None
            assert stream.time_base is not None
            assert stream.duration * stream.time_base * 1000 == video.duration_milliseconds == 2000
    assert outputs[OutputName.PREVIEW].bytes < outputs[OutputName.RESULT].bytes / 3
    poster = outputs[OutputName.POSTER]
    with Image.open(io.BytesIO(workplace.get(poster.key))) as image:
        assert (image.format, image.size) == ("JPEG", (poster.width, poster.height))
        assert not image.getexif()
    assert poster.media_type == "image/jpeg"
    assert poster.duration_milliseconds is None


@pytest.mark.parametrize("kind", ["animation", "task"])
def test_progress_rises_and_tells_the_size_of_the_source(workplace, portrait: bytes, kind: str) -> None:
    workplace.put("in/photo", portrait)
    _, pod = workplace.run(workplace.animation(duration_seconds=3) if kind == "animation" else workplace.task())
    lines = [ProgressLine.model_validate_json(line) for line in pod.lines]
    percents = [line.percent for line in lines]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    known = [line for line in lines if line.stage not in {"fetch", "decode"}]
    assert {line.source_pixels for line in known} == {512 * 512}
    assert {line.source_pixels for line in lines if line.stage == "fetch"} == {None}
    if kind == "animation":
        stages = list(dict.fromkeys(line.stage for line in lines))
        assert stages == ["fetch", "decode", "analyse", "animate", "encode", "store"]
        assert sum(line.stage == "animate" for line in lines) > 50


def test_a_style_of_a_newer_contract_is_refused_with_those_that_there_are(workplace) -> None:
    text = json.loads(workplace.animation().model_dump_json(by_alias=True, exclude_none=True))
    text["animation"] |= {"style": "LivingPortrait", "gaze": "Left"}
    code, pod = workplace.run(json.dumps(text))
    assert code == ExitCode.INVALID_TASK
    assert pod.message.reason == Reason.INVALID_TASK
    assert pod.message.message == (
        "REKINDLE_TASK: animation.style: this engine can't do 'LivingPortrait'; it offers 'KenBurns'"
    )


def test_a_second_pod_adopts_the_video_that_is_committed(workplace, portrait: bytes) -> None:
    workplace.put("in/photo", portrait)
    task = workplace.animation(duration_seconds=1)
    _, first = workplace.run(task, "pod-1")
    code, second = workplace.run(task, "pod-2")
    assert code == ExitCode.DONE
    assert second.message.result == first.message.result
    assert workplace.keys("out/pod-2") == []


def test_a_restoration_under_the_same_prefix_is_never_taken_for_the_video(workplace, portrait: bytes) -> None:
    workplace.put("in/photo", portrait)
    workplace.run(workplace.animation(duration_seconds=1), "pod-1")
    code, pod = workplace.run(workplace.task(), "pod-2")
    assert code == ExitCode.OUTPUT_EXISTS
    assert pod.message.reason == Reason.OUTPUT_EXISTS


@pytest.mark.parametrize("stage", ["fetch", "analyse", "animate"])
def test_a_stopped_animation_leaves_nothing_and_says_so(workplace, stage: str) -> None:
    workplace.put("in/photo", _grainy_photo())
    pod = workplace.start(workplace.animation(duration_seconds=30))
    pod.wait_for_stage(stage)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.finish() == ExitCode.TERMINATED
    assert pod.message.reason == Reason.TERMINATED
    assert workplace.keys("out") == []
    assert list((workplace.directory / "pod-1").iterdir()) == [pod.termination_log]


def test_after_a_kill_the_next_pod_animates_from_the_start(workplace) -> None:
    workplace.put("in/photo", _grainy_photo())
    task = workplace.animation(duration_seconds=1, resolution="480p")
    pod = workplace.start(task, "pod-1")
    pod.wait_for_stage("animate")
    pod.process.kill()
    pod.finish()
    code, second = workplace.run(task, "pod-2")
    assert code == ExitCode.DONE
    assert second.message.result is not None
    assert workplace.manifest().pod_uid == "pod-2"
