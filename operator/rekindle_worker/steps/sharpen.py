"""Gentle sharpening of what is a little soft; grain and halos stay away."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Pixels
from rekindle_worker.steps.colour import luma

_RADIUS = 1.2
_CORE = 1.5 / 255
_OVERSHOOT = 0.02
_MOST = 1.5
# Ratio of fine to coarse detail on strong edges: photos above the second are as sharp as pixels allow.
_SOFT, _SHARP = 0.30, 0.52


def measure_softness(pixels: Pixels) -> float:
    """Return from 0 (as sharp as pixels allow) to 1 (plainly soft), by the steepness of the strongest edges.

    Args:
        pixels: float32, H x W x C in [0, 1], a part of the photo at full size.
    """
    bright = luma(pixels)
    fine = np.abs(bright - cv2.GaussianBlur(bright, (0, 0), 1.0))
    coarse = np.abs(bright - cv2.GaussianBlur(bright, (0, 0), 3.0))
    strongest = coarse >= max(float(np.quantile(coarse, 0.98)), 0.02)
    if not strongest.any():
        return 0.0
    ratio = float(np.median(fine[strongest] / coarse[strongest]))
    return min(1.0, max(0.0, (_SHARP - ratio) / (_SHARP - _SOFT)))


def sharpen(pixels: Pixels, amount: float) -> Pixels:
    """Sharpen the brightness by an unsharp mask that skips grain and hardly leaves the neighbourhood's range.

    Args:
        pixels: float32, H x W x C in [0, 1].
        amount: From 0, which changes nothing, to 1.
    """
    if amount <= 0:
        return pixels
    bright = luma(pixels)
    detail = bright - cv2.GaussianBlur(bright, (0, 0), _RADIUS)
    cored = np.sign(detail) * np.maximum(np.abs(detail) - _CORE, 0)
    wanted = bright + np.float32(_MOST * amount) * cored
    change = _bounded(wanted, bright) - bright
    return np.clip(pixels + change[..., np.newaxis], 0, 1)


def _bounded(wanted: NDArray[np.float32], bright: NDArray[np.float32]) -> NDArray[np.float32]:
    around = np.ones((3, 3), np.uint8)
    return np.clip(wanted, cv2.erode(bright, around) - _OVERSHOOT, cv2.dilate(bright, around) + _OVERSHOOT)
