"""`rekindle-worker restore IN OUT` and `animate IN OUT`: one photo on the local disk, with a progress bar."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from tqdm import tqdm

from rekindle_crds import AnimationParameters, ExitCode, ProgressLine, RestoreParameters, StepRecord
from rekindle_crds.meta import Contract
from rekindle_crds.restore import ImageFormat
from rekindle_worker import PROGRAM
from rekindle_worker.animation.kenburns import enough_pixels
from rekindle_worker.animation.shoot import Cut, Reels
from rekindle_worker.animation.work import STAGES, animate
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits, read_photo
from rekindle_worker.imaging.encode import check_format, write_image
from rekindle_worker.options import option
from rekindle_worker.pipeline import SHARES, restore
from rekindle_worker.progress import Progress, Report
from rekindle_worker.stages import output_size
from rekindle_worker.stop import Stop
from rekindle_worker.watermark import STAGE, watermarked

_DECODE = {"decode": 5.0}
_ENCODE = {"encode": 8.0}
_FORMATS = {
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".png": ImageFormat.PNG,
    ".webp": ImageFormat.WEBP,
}
_Parameters = TypeVar("_Parameters", bound=Contract)


@dataclass(frozen=True, slots=True)
class LocalTask:
    """What to do with which files."""

    source: Path
    target: Path
    report: Path | None
    parameters: Mapping[str, object]
    quiet: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """What a report tells."""

    source: tuple[int, int]
    result: tuple[int, int]
    parameters: Contract
    steps: Sequence[StepRecord]
    warnings: Sequence[str]


def restore_file(task: LocalTask, stop: Stop, limits: Limits, threads: int) -> None:
    """Restore a file. The target appears whole or not at all.

    Raises:
        WorkFailed: With the exit code of the contract and a sentence for the person at the terminal.
    """
    wanted = _validated(RestoreParameters, {"format": _format(task), **task.parameters})
    _check_paths(task)
    # The suffix tells the encoder of deep PNG files what to write.
    stages = _DECODE | SHARES | ({STAGE: 6.0} if wanted.watermark else {}) | _ENCODE
    with _progress(stages, stop, task) as report, _whole(task, wanted.format.lower()) as target:
        report("decode", 0.0)
        photo = read_photo(task.source, limits)
        check_format(wanted.format, *output_size(photo.width, photo.height, wanted.max_megapixels))
        restored = restore(photo, wanted, threads=threads, report=report)
        made = restored.photo
        if wanted.watermark is not None:
            made = watermarked(made, wanted.watermark, threads=threads, report=report)
        report("encode", 0.0)
        write_image(made, target, wanted.format, wanted.quality)
        report("encode", 1.0)
    result = (restored.photo.width, restored.photo.height)
    _tell(task, _Done(photo.source_size, result, wanted, restored.steps, restored.warnings))


def animate_file(task: LocalTask, stop: Stop, limits: Limits, threads: int) -> None:
    """Animate a file. The target appears whole or not at all.

    Raises:
        WorkFailed: With the exit code of the contract and a sentence for the person at the terminal.
    """
    wanted = _validated(AnimationParameters, task.parameters)
    if task.target.suffix.lower() != ".mp4":
        raise WorkFailed(ExitCode.INVALID_TASK, f"{task.target.name}: name an .mp4 file")
    _check_paths(task)
    with _progress(_DECODE | dict(STAGES), stop, task) as report, _whole(task, "mp4") as target:
        report("decode", 0.0)
        photo = read_photo(task.source, limits, enough=enough_pixels(wanted))
        animated = animate(photo, wanted, [Cut(Reels(target), wanted.watermark)], threads=threads, report=report)
    result = (animated.film.width, animated.film.height)
    _tell(task, _Done(photo.source_size, result, wanted, animated.steps, animated.warnings))


def _format(task: LocalTask) -> object:
    by_suffix = task.parameters.get("format", _FORMATS.get(task.target.suffix.lower()))
    if by_suffix is None:
        raise WorkFailed(
            ExitCode.INVALID_TASK, f"{task.target.name}: name a .jpg, .png or .webp file, or give --format"
        )
    return by_suffix


def _validated(model: type[_Parameters], wanted: Mapping[str, object]) -> _Parameters:
    try:
        return model.model_validate(dict(wanted))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        names = {str(field.alias): name for name, field in model.model_fields.items()}
        where = str(first["loc"][0])
        raise WorkFailed(ExitCode.INVALID_TASK, f"{option(names.get(where, where))}: {first['msg']}") from error


def _check_paths(task: LocalTask) -> None:
    if not task.source.is_file():
        raise WorkFailed(ExitCode.SOURCE_NOT_FOUND, f"{task.source} is not a file")
    if not task.target.parent.is_dir():
        raise WorkFailed(ExitCode.OUTPUT_FORBIDDEN, f"the folder {task.target.parent} does not exist")


@contextmanager
def _progress(stages: Mapping[str, float], stop: Stop, task: LocalTask) -> Iterator[Report]:
    """Show a bar, and check for a signal each time that the work reports."""
    with tqdm(total=100, unit="%", bar_format="{desc:>10} {bar} {n:3.0f}%", disable=task.quiet, leave=False) as bar:

        def show(line: ProgressLine) -> None:
            bar.set_description_str(line.stage, refresh=False)
            bar.update(line.percent - bar.n)

        progress = Progress(stages, show)

        def report(stage: str, fraction: float) -> None:
            stop.check()
            progress.report(stage, fraction)

        yield report


@contextmanager
def _whole(task: LocalTask, suffix: str) -> Iterator[Path]:
    """Yield a file beside the target that takes its place once it is written."""
    try:
        with tempfile.TemporaryDirectory(dir=task.target.parent, prefix=".rekindle-") as folder:
            whole = Path(folder) / f"result.{suffix}"
            yield whole
            os.replace(whole, task.target)  # noqa: PTH105 - Path.replace says less about being atomic
    except OSError as error:
        raise WorkFailed(ExitCode.OUTPUT_FORBIDDEN, f"can't write: {error}") from error


def _tell(task: LocalTask, done: _Done) -> None:
    for warning in done.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if task.report is None:
        return
    record = {
        "version": PROGRAM,
        "source": {"width": done.source[0], "height": done.source[1]},
        "result": {"width": done.result[0], "height": done.result[1]},
        "parameters": done.parameters.wire(),
        "steps": [step.wire() for step in done.steps],
        "warnings": list(done.warnings),
    }
    try:
        task.report.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WorkFailed(ExitCode.OUTPUT_FORBIDDEN, f"can't write: {error}") from error
