"""Finding scratches, hairs and dust: thin lines and small spots that stand out from both of their sides.

An edge has one side as bright as itself, so it does not count; texture and lettering have many neighbours of their own kind,
which raises the bar around them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask, Pixels
from rekindle_worker.steps.colour import luma

Plane = NDArray[np.float32]

_ANGLES = 16
_LENGTH = 17
_WIDTHS = (1, 3)
_NEIGHBOURHOOD = 41


def find_damage(pixels: Pixels, *, threads: int = 1) -> Mask:
    """Return where scratches, hairs and dust are.

    Args:
        pixels: float32, H x W x C in [0, 1], at a size where scratches are one to five pixels wide.
        threads: How many directions are looked into at once.
    """
    bright = luma(pixels)
    if min(bright.shape) < 2 * _LENGTH:
        return np.zeros(bright.shape, bool)
    grain = _grain(bright)
    low, high = np.percentile(cv2.GaussianBlur(bright, (0, 0), 1.0), [1, 99])
    middle = low + 0.5 * max(high - low, 0.1)
    surroundings = np.asarray(cv2.medianBlur(np.rint(bright * 255).astype(np.uint8), 11), np.float32) / 255
    ridges, valleys, flanks = _line_responses(bright, threads)
    texture = cv2.blur(flanks, (_NEIGHBOURHOOD, _NEIGHBOURHOOD))
    mask = np.zeros(bright.shape, bool)
    for response, contrast, extreme in (
        (ridges, bright - surroundings, bright > middle),
        (valleys, surroundings - bright, bright < middle),
    ):
        mask |= _lines(response / (0.6 * grain + texture), extreme)
        mask |= _specks(contrast, grain, extreme)
    return mask


def _grain(bright: Plane) -> float:
    """Deviation of the finest grain, by the median of a second difference that ignores slopes."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return max(float(np.median(np.abs(cv2.filter2D(bright, -1, kernel)))) / 0.6745 / 6, 0.5 / 255)


def _line_responses(bright: Plane, threads: int) -> tuple[Plane, Plane, Plane]:
    """Return how far lines stand out above both sides, below both sides, and how much sides differ, over all directions."""
    smooth = cv2.GaussianBlur(bright, (0, 0), 0.6)
    ridges, valleys = np.full_like(smooth, -1), np.full_like(smooth, -1)
    flanks = np.zeros_like(smooth)

    def direction(index: int) -> list[tuple[Plane, Plane, Plane]]:
        return list(_direction(smooth, np.pi * index / _ANGLES))

    with ThreadPoolExecutor(threads) as pool:
        for responses in pool.map(direction, range(_ANGLES)):
            for ridge, valley, difference in responses:
                np.maximum(ridges, ridge, out=ridges)
                np.maximum(valleys, valley, out=valleys)
                flanks += difference / (_ANGLES * len(_WIDTHS))
    return ridges, valleys, flanks


def _direction(smooth: Plane, angle: float) -> Iterator[tuple[Plane, Plane, Plane]]:
    along = cv2.filter2D(smooth, -1, _segment(angle), borderType=cv2.BORDER_REFLECT_101)
    across = np.array([-np.sin(angle), np.cos(angle)])
    for width in _WIDTHS:
        centre = along if width == 1 else (along + _moved(along, across) + _moved(along, -across)) / 3
        left, right = _moved(along, (width / 2 + 2) * across), _moved(along, -(width / 2 + 2) * across)
        yield centre - np.maximum(left, right), np.minimum(left, right) - centre, np.abs(left - right)


def _segment(angle: float) -> Plane:
    """Return a kernel that averages along a line."""
    kernel, centre = np.zeros((_LENGTH, _LENGTH), np.uint8), (_LENGTH - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    start, end = (np.rint((centre + sign * reach) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
    return kernel.astype(np.float32) / kernel.sum(dtype=np.float32)


def _moved(plane: Plane, by: NDArray[np.float64]) -> Plane:
    matrix = np.array([[1, 0, -by[0]], [0, 1, -by[1]]], np.float32)
    size = (plane.shape[1], plane.shape[0])
    return np.asarray(cv2.warpAffine(plane, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _lines(score: Plane, extreme: Mask) -> Mask:
    def long_and_thin(box: NDArray[np.int32]) -> bool:
        length = float(np.hypot(box[cv2.CC_STAT_WIDTH], box[cv2.CC_STAT_HEIGHT]))
        return length >= 25 and box[cv2.CC_STAT_AREA] < 6 * length

    return _components((score > 1.3) & extreme, (score > 4) & extreme, long_and_thin)


def _specks(contrast: Plane, grain: float, extreme: Mask) -> Mask:
    texture = cv2.blur(np.minimum(np.abs(contrast), 4 * grain + 0.04), (25, 25))
    score = contrast / (2.5 * grain + 3 * texture)

    def small(box: NDArray[np.int32]) -> bool:
        return box[cv2.CC_STAT_AREA] <= 40 and max(box[cv2.CC_STAT_WIDTH], box[cv2.CC_STAT_HEIGHT]) <= 9

    return _components((score > 1) & extreme, score > 2.5, small)


def _components(wide: Mask, sure: Mask, fits) -> Mask:  # type: ignore[no-untyped-def]  # noqa: ANN001
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(wide.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, bool)
    for label in np.unique(labels[sure & wide]):
        keep[label] = label != 0 and fits(boxes[label])
    return keep[labels]
