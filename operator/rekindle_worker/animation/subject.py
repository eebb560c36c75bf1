"""The subject of a photo: its faces, or what stands out most when there are none."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.animation.faces import Box, find_faces
from rekindle_worker.photo import Pixels
from rekindle_worker.steps.colour import luma

ANALYSED_PIXELS = 150_000
"""Size at which the subject is looked for."""
_SALIENCY_SIDE = 64
_CENTRE_SIGMA = 0.3
_CENTRE_HEIGHT = 0.45
_SUBJECT_SIGMA = 0.1
_SURROUNDINGS_SIGMA = 0.2
# Margins of old prints are full of stains and torn corners, which stand out without being a subject.
_MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Subject:
    """What a camera should travel to, in shares of the photo's width and height."""

    x: float
    y: float
    faces: tuple[Box, ...] = ()
    """Faces that must stay in the picture; empty when the point was found by what stands out."""


def find_subject(pixels: Pixels) -> Subject:
    """Return the subject of a photo.

    Args:
        pixels: The photo at about `ANALYSED_PIXELS`.
    """
    grey = np.asarray(np.rint(np.clip(luma(pixels), 0, 1) * 255), np.uint8)
    faces = find_faces(grey)
    if faces:
        weights = [face.area for face in faces]
        x, y = np.average([face.centre for face in faces], axis=0, weights=weights)
        return Subject(float(x), float(y), faces)
    x, y = _most_salient(grey)
    return Subject(x, y)


def saliency(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much each part of a photo stands out, as a small map whose longer side has 64 entries.

    The log spectrum of an image is mostly predictable from its neighbourhood; what is left over is where the image
    is unlike the rest. At this size grain, scratches and the structure of paper have been averaged away.

    References:
        Hou and Zhang (2007), Saliency detection: a spectral residual approach.
    """
    height, width = grey.shape
    factor = _SALIENCY_SIDE / max(height, width)
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = np.asarray(cv2.medianBlur(small, 3), np.float32)
    spectrum = np.fft.fft2(small)
    amplitude = np.log(np.abs(spectrum) + 1e-3).astype(np.float32)
    residual = amplitude - cv2.blur(amplitude, (3, 3))
    back = np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))
    return np.asarray(cv2.GaussianBlur(np.square(np.abs(back)).astype(np.float32), (0, 0), 2.5), np.float32)


def _most_salient(grey: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the middle of the part that stands out most, preferring the middle of the photo and above."""
    stands_out = saliency(grey)
    height, width = stands_out.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across, down = (x + 0.5) / width, (y + 0.5) / height
    weight = np.exp(-((across - 0.5) ** 2 + (down - _CENTRE_HEIGHT) ** 2) / (2 * _CENTRE_SIGMA**2))
    weight[np.maximum(np.abs(across - 0.5), np.abs(down - 0.5)) > 0.5 - _MARGIN] = 0
    # Without contrast nothing stands out but rounding; a small even share leaves the middle then.
    mass = ((stands_out / max(float(stands_out.max()), 1e-12) + 0.02) * weight).astype(np.float32)
    sigma = _SUBJECT_SIGMA * min(height, width)
    row, column = np.unravel_index(
        int(np.argmax(cv2.GaussianBlur(mass, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT))), mass.shape
    )
    # The rest of a large subject lies around the spot that stands out most.
    near = ((x - int(column)) / width) ** 2 + ((y - int(row)) / height) ** 2
    mass *= np.exp(-near / (2 * _SURROUNDINGS_SIGMA**2))
    return float(np.average(across, weights=mass)), float(np.average(down, weights=mass))
