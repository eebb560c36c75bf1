"""The pictures of a video, made one at a time from one copy of the photo that is no larger than they need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rekindle_worker.animation.path import CameraPath
from rekindle_worker.photo import Photo, to_bytes

OVERSAMPLING = 1.25
"""Pixels of the copy for one of the nearest picture: enough that all positions between pixels look equally sharp."""
Frame = NDArray[np.uint8]
"""H x W x 3, sRGB."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Takes pictures of one size along a path.

    Each picture is resampled straight from the copy with a Lanczos filter as wide as its scale asks for, and with
    edges given as fractions of a pixel: nothing flickers, and nothing moves in whole steps.
    """

    copy: Image.Image
    path: CameraPath
    width: int
    height: int

    def picture(self, time: float) -> Frame:
        """Return what is seen at a time from 0 to 1."""
        part = self.path.at(time)
        across, down = self.copy.size
        # Rounding may put an edge a hair outside the copy, which is refused.
        edges = (
            max(0.0, part.left * across),
            max(0.0, part.top * down),
            min(float(across), part.right * across),
            min(float(down), part.bottom * down),
        )
        seen = self.copy.resize((self.width, self.height), Image.Resampling.LANCZOS, box=edges)
        return np.asarray(seen, np.uint8)


def camera_for(photo: Photo, path: CameraPath, size: tuple[int, int]) -> Camera:
    """Return a camera for pictures of this size."""
    pixels = to_bytes(photo.pixels)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    wanted = size[0] / (path.end.right - path.end.left) * OVERSAMPLING
    factor = wanted / image.width
    if factor < 1:
        smaller = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(smaller, Image.Resampling.LANCZOS)
    return Camera(image, path, *size)
