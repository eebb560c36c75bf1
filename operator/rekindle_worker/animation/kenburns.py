"""The style KenBurns: a slow pan and zoom from the whole photo to its subject."""

from rekindle_crds import AnimationParameters
from rekindle_worker.animation.film import Film
from rekindle_worker.animation.frames import OVERSAMPLING, camera_for
from rekindle_worker.animation.geometry import LONGEST_SIDE, share_of_photo, video_size
from rekindle_worker.animation.path import plan_path, zoom_for
from rekindle_worker.animation.subject import Subject
from rekindle_worker.photo import Photo

_NEARLY_STILL = 1.04


def enough_pixels(parameters: AnimationParameters) -> tuple[int, int]:
    """Return the lengths of a photo's shorter and longer side beyond which more pixels would not be seen."""
    for_each = zoom_for(parameters.duration_seconds) * OVERSAMPLING
    return int(parameters.resolution.pixels * for_each) + 1, int(LONGEST_SIDE * for_each) + 1


def ken_burns(photo: Photo, subject: Subject, parameters: AnimationParameters) -> Film:
    """Return the film of a camera that travels to the subject."""
    wanted = zoom_for(parameters.duration_seconds)
    # Faces may keep the camera from going so near; the proportions of the video change that only by a rounding.
    zoom = plan_path(subject, (1.0, 1.0), wanted).zoom
    size = video_size(photo.width, photo.height, parameters.resolution.pixels, zoom)
    path = plan_path(subject, share_of_photo(size, photo.width, photo.height), wanted)
    camera = camera_for(photo, path, size)
    warnings = (_CROWDED,) if subject.faces and path.zoom < _NEARLY_STILL else ()
    end = path.end
    facts = {
        "zoom": round(path.zoom, 3),
        "endLeft": round(end.left, 4),
        "endTop": round(end.top, 4),
        "endRight": round(end.right, 4),
        "endBottom": round(end.bottom, 4),
    }
    return Film(*size, camera.picture, facts, warnings)


_CROWDED = "faces reach the edges of the photo, so the camera hardly moves"
