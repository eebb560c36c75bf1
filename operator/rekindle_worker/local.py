"""`rekindle-worker restore IN OUT`: one photo on the local disk, with a progress bar."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from tqdm import tqdm

from rekindle_crds import ExitCode, ProgressLine, RestoreParameters
from rekindle_crds.restore import ImageFormat
from rekindle_worker import PROGRAM
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits, read_photo
from rekindle_worker.imaging.encode import check_format, write_image
from rekindle_worker.pipeline import SHARES, Restored, restore
from rekindle_worker.progress import Progress
from rekindle_worker.stages import output_size
from rekindle_worker.stop import Stop

_STAGES = {"decode": 5.0} | SHARES | {"encode": 8.0}
_FORMATS = {
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".png": ImageFormat.PNG,
    ".webp": ImageFormat.WEBP,
}


@dataclass(frozen=True, slots=True)
class LocalTask:
    """What to do with which files."""

    source: Path
    target: Path
    report: Path | None
    parameters: Mapping[str, object]
    quiet: bool


def restore_file(task: LocalTask, stop: Stop, limits: Limits, threads: int) -> None:
    """Restore a file. The target appears whole or not at all.

    Raises:
        WorkFailed: With the exit code of the contract and a sentence for the person at the terminal.
    """
    parameters = _parameters(task)
    if not task.source.is_file():
        raise WorkFailed(ExitCode.SOURCE_NOT_FOUND, f"{task.source} is not a file")
    if not task.target.parent.is_dir():
        raise WorkFailed(ExitCode.OUTPUT_FORBIDDEN, f"the folder {task.target.parent} does not exist")
    with tqdm(total=100, unit="%", bar_format="{desc:>10} {bar} {n:3.0f}%", disable=task.quiet, leave=False) as bar:

        def show(line: ProgressLine) -> None:
            bar.set_description_str(line.stage, refresh=False)
            bar.update(line.percent - bar.n)

        progress = Progress(_STAGES, show)

        def report(stage: str, fraction: float) -> None:
            stop.check()
            progress.report(stage, fraction)

        report("decode", 0.0)
        photo = read_photo(task.source, limits)
        check_format(parameters.format, *output_size(photo.width, photo.height, parameters.max_megapixels))
        restored = restore(photo, parameters, threads=threads, report=report)
        report("encode", 0.0)
        _write(restored, task, parameters)
        report("encode", 1.0)
    for warning in restored.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _parameters(task: LocalTask) -> RestoreParameters:
    by_suffix = _FORMATS.get(task.target.suffix.lower())
    wanted = dict(task.parameters)
    if "format" not in wanted:
        if by_suffix is None:
            raise WorkFailed(
                ExitCode.INVALID_TASK, f"{task.target.name}: name a .jpg, .png or .webp file, or give --format"
            )
        wanted["format"] = by_suffix
    try:
        return RestoreParameters.model_validate(wanted)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-")
        raise WorkFailed(ExitCode.INVALID_TASK, f"{option}: {first['msg']}") from error


def _write(restored: Restored, task: LocalTask, parameters: RestoreParameters) -> None:
    try:
        with tempfile.TemporaryDirectory(dir=task.target.parent, prefix=".rekindle-") as folder:
            # The suffix tells the encoder of deep PNG files what to write.
            whole = Path(folder) / f"result.{parameters.format.value.lower()}"
            write_image(restored.photo, whole, parameters.format, parameters.quality)
            os.replace(whole, task.target)  # noqa: PTH105 - Path.replace says less about being atomic
            if task.report is not None:
                task.report.write_text(json.dumps(_record(restored, parameters), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WorkFailed(ExitCode.OUTPUT_FORBIDDEN, f"can't write: {error}") from error


def _record(restored: Restored, parameters: RestoreParameters) -> dict[str, object]:
    return {
        "version": PROGRAM,
        "source": {"width": restored.source_width, "height": restored.source_height},
        "result": {"width": restored.photo.width, "height": restored.photo.height},
        "parameters": parameters.wire(),
        "steps": [step.wire() for step in restored.steps],
        "warnings": list(restored.warnings),
    }
