"""The path of the camera over a photo: from the whole of it to its subject, without haste and without a jolt."""

import math
from dataclasses import dataclass

from rekindle_worker.animation.faces import Box
from rekindle_worker.animation.subject import Subject

_RATE = 0.045
"""Growth of things in a second, as a logarithm: slow enough to look at the photo, fast enough to be seen."""
_LEAST_GROWTH = 0.04
"""Growth that even the shortest video has on top, since less would look like a mistake."""
_MOST_ZOOM = 1.5
_EASE = 0.25
"""Share of the time in which the camera gathers speed, and as much in which it loses it."""
_FACE_MARGINS = (0.6, 0.25, 0.0)
_LEAST_ZOOM = 1.04
_CAUTION = 0.75
"""How much of the way in is gone when no face was found: one that was overlooked is less likely to be cut then."""
_HEADROOM = 0.06
"""A face looks best a little above the middle; the camera aims this much of its picture's height below it."""


def zoom_for(seconds: float) -> float:
    """Return how much larger the subject is at the end of a video of this length, if nothing stands against it."""
    return min(_MOST_ZOOM, math.exp(_LEAST_GROWTH + _RATE * seconds))


@dataclass(frozen=True, slots=True)
class CameraPath:
    """A journey from one part of a photo to a smaller one within it."""

    start: Box
    end: Box

    @property
    def zoom(self) -> float:
        """How much larger things are at the end."""
        return (self.start.right - self.start.left) / (self.end.right - self.end.left)

    def at(self, time: float) -> Box:
        """Return the part of the photo that is seen at a time from 0 to 1.

        The width changes by the same factor in the same time, and the part shrinks around one fixed point of the
        photo. Then everything seems to move at an even speed; moving the middle evenly instead would seem to race
        once the part has become small.

        References:
            van Wijk and Nuij (2003), Smooth and efficient zooming and panning.
        """
        eased, zoom = ease(time), self.zoom
        done = (1 - zoom**-eased) / (1 - 1 / zoom) if zoom > 1 + 1e-9 else eased
        return Box(
            self.start.left + (self.end.left - self.start.left) * done,
            self.start.top + (self.end.top - self.start.top) * done,
            self.start.right + (self.end.right - self.start.right) * done,
            self.start.bottom + (self.end.bottom - self.start.bottom) * done,
        )


def ease(time: float) -> float:
    """Return the share of the way at a time from 0 to 1: the speed rises smoothly, stays even, and falls smoothly."""
    if time > 0.5:
        return 1 - ease(1 - time)
    # The integral of smoothstep(u) = 3u^2 - 2u^3 is u^3 - u^4/2; the whole way at full speed would be 1 - _EASE.
    u = min(1.0, max(0.0, time) / _EASE)
    return (_EASE * (u**3 - u**4 / 2) + max(0.0, time - _EASE)) / (1 - _EASE)


def plan_path(subject: Subject, shape: tuple[float, float], zoom: float) -> CameraPath:
    """Return the path from the whole photo to its subject.

    Every face stays in the picture to the end, hair and chin too; where faces leave no room for that, the camera
    goes less near.

    Args:
        subject: What to travel to.
        shape: Width and height of the first picture in shares of the photo, at most 1; their ratio is kept.
        zoom: How near to go at most.
    """
    if not subject.faces:
        zoom = zoom**_CAUTION
    start = _window(subject.x, subject.y, shape, _around(subject.faces, 0.0))
    for margin in _FACE_MARGINS:
        keep = _around(subject.faces, margin)
        nearest = min(zoom, _largest_zoom(shape, keep))
        if nearest >= _LEAST_ZOOM:
            break
    nearest = max(1.0, nearest)
    size = shape[0] / nearest, shape[1] / nearest
    below = _HEADROOM * size[1] if subject.faces else 0.0
    return CameraPath(start, _window(subject.x, subject.y + below, size, keep))


def _around(faces: tuple[Box, ...], margin: float) -> Box | None:
    if not faces:
        return None
    grown = [face.grown(margin) for face in faces]
    return Box(
        min(box.left for box in grown),
        min(box.top for box in grown),
        max(box.right for box in grown),
        max(box.bottom for box in grown),
    )


def _largest_zoom(shape: tuple[float, float], keep: Box | None) -> float:
    if keep is None:
        return math.inf
    return min(shape[0] / (keep.right - keep.left), shape[1] / (keep.bottom - keep.top))


def _window(x: float, y: float, size: tuple[float, float], keep: Box | None) -> Box:
    """Return a part of this size around a point, moved as little as keeps `keep` in it and it in the photo."""
    left = _placed(x - size[0] / 2, size[0], (keep.left, keep.right) if keep else None)
    top = _placed(y - size[1] / 2, size[1], (keep.top, keep.bottom) if keep else None)
    return Box(left, top, left + size[0], top + size[1])


def _placed(low: float, length: float, keep: tuple[float, float] | None) -> float:
    if keep is not None:
        low = min(max(low, keep[1] - length), keep[0])
    return min(max(low, 0.0), 1.0 - length)
