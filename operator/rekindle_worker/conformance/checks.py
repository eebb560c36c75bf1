"""What is looked at, each as a sentence that must hold; a check yields what is wrong."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from PIL import Image, UnidentifiedImageError

from rekindle_crds import ExitCode, Manifest, Operation, Output, OutputName
from rekindle_crds.task import MAX_TERMINATION_MESSAGE_BYTES
from rekindle_worker.conformance.trial import PHOTO_SIZE, Ended, Trial

Check = Callable[[Trial], Iterator[str]]
_COPIES = {
    OutputName.RESULT: OutputName.WATERMARKED_RESULT,
    OutputName.PREVIEW: OutputName.WATERMARKED_PREVIEW,
    OutputName.POSTER: OutputName.WATERMARKED_POSTER,
}


def _committed(trial: Trial) -> Iterator[str]:
    task, ended = trial.plain
    yield from _done(ended)
    manifest = trial.manifest(task)
    if manifest is None:
        yield "there is no manifest.json in the form of the contract"
        return
    if manifest.task_digest != task.digest:
        yield f"taskDigest is {manifest.task_digest}, not {task.digest}"
    if manifest.pod_uid != ended.uid:
        yield f"podUid is {manifest.pod_uid}, not {ended.uid}"
    if (manifest.source_width, manifest.source_height) != PHOTO_SIZE:
        yield f"the source is {manifest.source_width} x {manifest.source_height}, not 640 x 480"
    if (
        ended.message is not None
        and ended.message.result is not None
        and ended.message.result.outputs != manifest.outputs
    ):
        yield "the termination message names other outputs than the manifest"


def _stored(trial: Trial) -> Iterator[str]:
    for task, ended in (trial.plain, trial.marked):
        manifest = trial.manifest(task)
        for output in manifest.outputs if manifest is not None else ():
            if not output.key.startswith(f"{task.output.prefix}/{ended.uid}/"):
                yield f"{output.name}: {output.key} does not lie in the pod's folder"
            body = trial.body(output.key)
            if body is None or len(body) != output.bytes or hashlib.sha256(body).hexdigest() != output.sha256:
                yield f"{output.name}: the object is not what its record says"
            elif output.media_type.startswith("image/"):
                yield from _picture(output, body)
            elif output.duration_milliseconds is None:
                yield f"{output.name}: a video has durationMilliseconds"
        if manifest is None or OutputName.RESULT not in _by_name(manifest):
            yield "there is no Result"


def _picture(output: Output, body: bytes) -> Iterator[str]:
    try:
        with Image.open(io.BytesIO(body)) as image:
            if image.size != (output.width, output.height):
                yield f"{output.name}: it has {image.size}, its record {output.width} x {output.height}"
            left = {"exif", "xmp", "comment"} & {name for name, value in image.info.items() if value}
            if left:
                yield f"{output.name}: it holds more than pixels: {', '.join(sorted(left))}"
    except (UnidentifiedImageError, OSError):
        yield f"{output.name}: it is no picture"


def _progress(trial: Trial) -> Iterator[str]:
    _, ended = trial.plain
    percents = [line.percent for line in ended.progress]
    if not percents:
        yield "no line of progress was printed"
    elif percents != sorted(percents) or percents[-1] != 100:
        yield f"percent must rise to 100: {percents[-5:]}"


def _watermark(trial: Trial) -> Iterator[str]:
    (plain_task, _), (task, ended) = trial.plain, trial.marked
    yield from _done(ended)
    plain, marked = trial.manifest(plain_task), trial.manifest(task)
    if plain is None or marked is None:
        return
    before, after = _by_name(plain), _by_name(marked)
    made = {name for name in after if name in _COPIES.values()}
    if not made:
        if "watermark" not in marked.unfulfilled:
            yield "no copies were made, and unfulfilled does not name watermark"
        return
    if "watermark" in marked.unfulfilled:
        yield "unfulfilled names watermark, though there are copies"
    for name, output in before.items():
        if name not in after or not _same(output, after[name]):
            yield f"{name}: with a watermark it is another than without"
        if name in _COPIES:
            yield from _copied(output, after.get(_COPIES[name]))


def _same(one: Output, other: Output) -> bool:
    """Tell whether two outputs may be the same: encoders of video do not always repeat themselves to the bit."""
    if one.duration_milliseconds is None:
        return one.sha256 == other.sha256
    return _form(one) == _form(other)


def _form(output: Output) -> tuple[object, ...]:
    return output.width, output.height, output.media_type, output.duration_milliseconds


def _copied(output: Output, copy: Output | None) -> Iterator[str]:
    if copy is None:
        yield f"{output.name}: it has no copy under the watermark"
    elif copy.sha256 == output.sha256:
        yield f"{output.name}: its copy shows no watermark"
    elif _form(copy) != _form(output):
        yield f"{output.name}: its copy has another size or format"


def _wishes(trial: Trial) -> Iterator[str]:
    asked = {"prompt": "brighter"} | ({"colorize": "IfAvailable"} if trial.operation is Operation.RESTORE else {})
    task = trial.task("wishes", **asked)
    ended = trial.run(task)
    yield from _done(ended)
    plain, wished = trial.manifest(trial.plain[0]), trial.manifest(task)
    if plain is not None and plain.unfulfilled:
        yield f"nothing was asked for, and unfulfilled names {', '.join(plain.unfulfilled)}"
    if wished is None:
        return
    if not set(wished.unfulfilled) <= set(asked):
        yield f"unfulfilled names what was not asked for: {', '.join(wished.unfulfilled)}"
    if wished.unfulfilled and not wished.warnings:
        yield "unfulfilled tells programs, but no warning tells people"
    result = ended.message.result if ended.message is not None else None
    if result is not None and result.unfulfilled != wished.unfulfilled:
        yield "the termination message and the manifest differ in unfulfilled"


def _adopted(trial: Trial) -> Iterator[str]:
    task, first = trial.plain
    second = trial.run(task)
    yield from _done(second)
    if second.message is not None and first.message is not None and second.message.result != first.message.result:
        yield "the second pod reports another result than the manifest's"
    if trial.keys(f"{task.output.prefix}/{second.uid}"):
        yield "the second pod left something in its folder"


def _kept(trial: Trial) -> Iterator[str]:
    task, _ = trial.plain
    other = trial.task("plain", prompt="another task")
    before = trial.keys(task.output.prefix)
    yield from _failed(trial.run(other), ExitCode.OUTPUT_EXISTS)
    if trial.keys(task.output.prefix) != before:
        yield "the folder of the first task was changed"


def _faults(trial: Trial) -> Iterator[str]:
    yield from _failed(trial.run(trial.task("none", source="none")), ExitCode.SOURCE_NOT_FOUND)
    yield from _failed(trial.run(trial.task("bad", source="no-photo")), ExitCode.UNREADABLE_IMAGE)
    yield from _failed(trial.run(None), ExitCode.INVALID_TASK)
    left = trial.keys(f"{trial.prefix}/none") + trial.keys(f"{trial.prefix}/bad")
    if left:
        yield f"a failure left objects: {', '.join(left)}"


def _stopped(trial: Trial) -> Iterator[str]:
    task = trial.task("stopped")
    ended = trial.run(task, stop=True)
    if ended.exit_code == ExitCode.DONE and trial.manifest(task) is not None:
        return
    yield from _failed(ended, ExitCode.TERMINATED)
    if trial.keys(task.output.prefix):
        yield "it left objects"


def _done(ended: Ended) -> Iterator[str]:
    if ended.exit_code != ExitCode.DONE:
        yield f"exit code {ended.exit_code}, not 0" + (f": {ended.message.message}" if ended.message else "")
    elif ended.message is None or ended.message.result is None:
        yield "the termination message holds no result in the form of the contract"
    if ended.message_bytes > MAX_TERMINATION_MESSAGE_BYTES:
        yield f"the termination message has {ended.message_bytes} bytes; at most 4096 arrive"


def _failed(ended: Ended, code: ExitCode) -> Iterator[str]:
    if ended.exit_code != code:
        yield f"exit code {ended.exit_code}, not {code.value} ({code.reason.value})"
    elif ended.message is None or ended.message.reason != code.reason:
        yield f"the termination message does not give the reason {code.reason.value}"


def _by_name(manifest: Manifest) -> dict[OutputName, Output]:
    return {output.name: output for output in manifest.outputs}


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "A task is done, and its manifest committed": _committed,
        "Outputs are what their records say, and hold pixels only": _stored,
        "Progress rises to one hundred percent": _progress,
        "A watermark makes copies and leaves the outputs as they are, or is said to be unfulfilled": _watermark,
        "Wishes that are not fulfilled are named, and no others": _wishes,
        "A second pod adopts what is committed": _adopted,
        "The result of another task is never overwritten": _kept,
        "Faults of the input have their exit codes and leave nothing": _faults,
        "SIGTERM is heard and leaves nothing": _stopped,
    }
)
"""Every check, by what must hold."""


def examine(trial: Trial) -> Iterator[tuple[str, list[str]]]:
    """Put the photos there, and yield each sentence with what speaks against it; nothing stays in the bucket."""
    trial.put_photos()
    try:
        for sentence, check in CHECKS.items():
            yield sentence, list(check(trial))
    finally:
        trial.clear()
