"""Finding damage by two searches: fine marks at the photo's own size, and lines of any width at three scales.

How many lines are likely damage tells how dirty the photo is as a whole: where there are many, a doubtful one is
likelier damage as well, and a clean photo with a few ropes and whiskers stays untouched.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask, Pixels
from rekindle_worker.steps.candidates import Candidates
from rekindle_worker.steps.colour import luma
from rekindle_worker.steps.denoise import measure_noise, remove_noise
from rekindle_worker.steps.lines import find_lines
from rekindle_worker.steps.scratches import find_scratches

_SEARCHED_PIXELS = 1_000_000
_SMALLEST_SIDE = 64
# Noise breaks lines up, so it is taken out before the search, at this strength.
_CALMING = 0.5
_LEAST_LOGIT = -1.0
# How many likely lines a clean photo has at most, how many a dirty one has, and the log-odds that a clean photo costs.
_CLEAN, _DIRTY, _CLEAN_SHIFT = 12.0, 28.0, -3.0


def find_damage(pixels: Pixels, *, threads: int = 1) -> Mask:
    """Return where scratches, hairs and dust are.

    Args:
        pixels: float32, H x W x C in [0, 1].
        threads: How many directions are looked into at once; it does not change the result.
    """
    return find_scratches(pixels, threads=threads) | _find_wide_scratches(pixels, threads)


def _find_wide_scratches(pixels: Pixels, threads: int) -> Mask:
    height, width = pixels.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return np.zeros((height, width), np.bool_)
    searched = _shrunk(pixels)
    noise = measure_noise([searched])
    calm = remove_noise(searched, noise, _CALMING)
    brightness, chroma = np.ascontiguousarray(luma(calm)), np.ascontiguousarray(np.ptp(calm, axis=2))
    lines = find_lines(brightness, chroma, noise.sigma, threads=threads)
    shift = _CLEAN_SHIFT * (1 - _dirt(lines))
    mask = np.zeros(brightness.shape, np.uint8)
    for found in lines:
        mask |= _resized(found.chosen(shift), mask.shape)
    # Gaps, and the soft rim of a mark, would colour what is filled in.
    whole = cv2.dilate(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(7)), _disc(7))
    return np.asarray(_resized(whole > 0, (height, width)), np.bool_)


def _dirt(lines: list[Candidates]) -> float:
    """Return how dirty the photo is, from 0 to 1, by the expected number of lines that are damage."""
    logits = np.concatenate([found.logits for found in lines])
    expected = float(np.sum(1 / (1 + np.exp(-logits[logits > _LEAST_LOGIT]))))
    return min(1.0, max(0.0, (expected - _CLEAN) / (_DIRTY - _CLEAN)))


def _shrunk(pixels: Pixels) -> Pixels:
    height, width, channels = pixels.shape
    factor = (_SEARCHED_PIXELS / (height * width)) ** 0.5
    if factor >= 1:
        return pixels
    smaller = cv2.resize(pixels, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.float32).reshape(*smaller.shape[:2], channels)


def _resized(mask: Mask, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _disc(side: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
