"""The operation Restore as a whole: the pipeline, then result, preview and thumbnail, and their watermarked copies."""

import time
from collections.abc import Mapping

from rekindle_crds import RestoreParameters
from rekindle_worker import watermark
from rekindle_worker.imaging.encode import check_format, write_outputs, write_watermarked
from rekindle_worker.photo import Photo
from rekindle_worker.pipeline import SHARES, restore
from rekindle_worker.stages import output_size
from rekindle_worker.watermark import watermarked
from rekindle_worker.work import Made, Room


class Restoration:
    """Restores a photo as its parameters say."""

    enough: tuple[int, int] | None = None

    def __init__(self, parameters: RestoreParameters | None) -> None:
        self._parameters = parameters or RestoreParameters()

    @property
    def stages(self) -> Mapping[str, float]:
        """Every stage with its usual share of the time, in order."""
        return SHARES | {"encode": 8.0} | ({watermark.STAGE: 10.0} if self._parameters.watermark else {})

    def __call__(self, photo: Photo, room: Room) -> Made:
        """Restore a photo and write the outputs.

        Raises:
            WorkFailed: `ImageTooLarge` when the format can't hold the result.
        """
        wanted = self._parameters
        check_format(wanted.format, *output_size(photo.width, photo.height, wanted.max_megapixels))
        restored = restore(photo, wanted, threads=room.threads, report=room.report)
        room.report("encode", 0.0)
        files, steps = write_outputs(restored.photo, room.folder, wanted.format, wanted.quality), restored.steps
        if wanted.watermark is not None:
            started = time.monotonic()
            marked = watermarked(restored.photo, wanted.watermark, threads=room.threads, report=room.report)
            files += write_watermarked(marked, room.folder, wanted.format, wanted.quality)
            steps += (watermark.record(wanted.watermark, started),)
        return Made(files, steps, restored.warnings, restored.unfulfilled)
