"""The operation Restore as a whole: the pipeline, then result, preview and thumbnail."""

from collections.abc import Mapping

from rekindle_crds import RestoreParameters
from rekindle_worker.imaging.encode import check_format, write_outputs
from rekindle_worker.photo import Photo
from rekindle_worker.pipeline import SHARES, restore
from rekindle_worker.stages import output_size
from rekindle_worker.work import Made, Room


class Restoration:
    """Restores a photo as its parameters say."""

    stages: Mapping[str, float] = SHARES | {"encode": 8.0}
    enough: tuple[int, int] | None = None

    def __init__(self, parameters: RestoreParameters | None) -> None:
        self._parameters = parameters or RestoreParameters()

    def __call__(self, photo: Photo, room: Room) -> Made:
        """Restore a photo and write the outputs.

        Raises:
            WorkFailed: `ImageTooLarge` when the format can't hold the result.
        """
        wanted = self._parameters
        check_format(wanted.format, *output_size(photo.width, photo.height, wanted.max_megapixels))
        restored = restore(photo, wanted, threads=room.threads, report=room.report)
        room.report("encode", 0.0)
        files = write_outputs(restored.photo, room.folder, wanted.format, wanted.quality)
        return Made(tuple(files), restored.steps, restored.warnings)
