"""Faces of people, found by a classical cascade; old prints in grey are as good for it as photos in colour."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data
from skimage.feature import Cascade

Grey = NDArray[np.uint8]
"""H x W, brightness of the photo."""

_SMALLEST = 24
_SCALE_STEP = 1.15
_VOTES = 6
_SHARED = 0.35
_BACKGROUND = 0.4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a photo, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle, across and down."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Its share of the photo."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def grown(self, share: float) -> "Box":
        """Return it with this share of its size added on each side, as far as the photo goes."""
        across, down = (self.right - self.left) * share, (self.bottom - self.top) * share
        return Box(
            max(0.0, self.left - across),
            max(0.0, self.top - down),
            min(1.0, self.right + across),
            min(1.0, self.bottom + down),
        )


def find_faces(grey: Grey) -> tuple[Box, ...]:
    """Return the upright frontal faces, the largest first.

    A local-binary-pattern cascade looks at the photo and at its mirror image. A face is one in both, while patterns
    that only resemble one seldom are. Faces much smaller than the largest belong to the background and are left out.

    Args:
        grey: The photo, some hundred thousand pixels; a second or two for each half million.

    References:
        Liao, Zhu, Lei, Zhang and Li (2007), Learning multi-scale block local binary patterns for face recognition;
        Viola and Jones (2001), Rapid object detection using a boosted cascade of simple features. The cascade is
        OpenCV's lbpcascade_frontalface, as scikit-image distributes it.
    """
    height, width = grey.shape
    if min(height, width) < 2 * _SMALLEST:
        return ()
    # The median takes out scratches and grain, the equalisation gives faded prints their contrast back.
    even = np.asarray(cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(cv2.medianBlur(grey, 3)), np.uint8)
    mirrored = [Box(1 - box.right, box.top, 1 - box.left, box.bottom) for box in _detected(even[:, ::-1])]
    found = [box for box in _detected(even) if any(_overlap(box, other) >= _SHARED for other in mirrored)]
    found.sort(key=lambda box: box.area, reverse=True)
    return tuple(box for box in found if box.area >= _BACKGROUND**2 * found[0].area)


@cache
def _cascade() -> Cascade:
    return Cascade(data.lbp_frontal_face_cascade_filename())


def _detected(grey: Grey) -> list[Box]:
    height, width = grey.shape
    hits = _cascade().detect_multi_scale(
        img=np.ascontiguousarray(grey),
        scale_factor=_SCALE_STEP,
        step_ratio=1,
        min_size=(_SMALLEST, _SMALLEST),
        max_size=(min(height, width), min(height, width)),
        min_neighbor_number=_VOTES,
    )
    return [
        Box(
            hit["c"] / width,
            hit["r"] / height,
            (hit["c"] + hit["width"]) / width,
            (hit["r"] + hit["height"]) / height,
        )
        for hit in hits
    ]


def _overlap(one: Box, other: Box) -> float:
    """Return the shared area over the joint area."""
    shared = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area
    return shared / (one.area + other.area - shared)
