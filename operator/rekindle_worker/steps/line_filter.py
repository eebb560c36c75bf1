"""Responses to thin lines in all directions, brighter or darker than both of their sides."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_LENGTH = 25
_ANGLES = 16
_FLANK = 3.5


@dataclass(frozen=True, slots=True)
class Ridges:
    """Lines of one polarity, each H x W, on the scale of the brightness."""

    height: Plane
    """How far the best line through a pixel stands out from the nearer of its sides; negative where there is none."""
    imbalance: Plane
    """How much the sides of that line differ."""


@dataclass(frozen=True, slots=True)
class LineResponses:
    """What the lines of a photo look like."""

    bright: Ridges
    dark: Ridges
    liveliness: Plane
    """How much the sides of a line differ, averaged over all directions: a measure of texture."""


def line_responses(brightness: Plane, *, threads: int) -> LineResponses:
    """Compare a line of 25 pixels with both of its sides, 3.5 pixels away, in 16 directions.

    An edge has one side as bright as the line, so it gives no response: that tells a scratch from an outline.

    Args:
        brightness: H x W in [0, 1].
        threads: How many directions are looked into at once; it does not change the result.
    """
    smooth = np.asarray(cv2.GaussianBlur(brightness, (0, 0), 0.7), np.float32)
    bright, dark = _flat(smooth), _flat(smooth)
    liveliness = np.zeros_like(smooth)
    for left, right in _contrasts(smooth, threads):
        difference = np.abs(left - right)
        liveliness += difference / np.float32(_ANGLES)
        _keep_higher(bright, np.minimum(left, right), difference)
        _keep_higher(dark, np.minimum(-left, -right), difference)
    return LineResponses(bright, dark, liveliness)


def _flat(like: Plane) -> Ridges:
    return Ridges(np.full_like(like, -1), np.zeros_like(like))


def _keep_higher(ridges: Ridges, height: Plane, imbalance: Plane) -> None:
    higher = height > ridges.height
    ridges.height[higher] = height[higher]
    ridges.imbalance[higher] = imbalance[higher]


def _contrasts(smooth: Plane, threads: int) -> Iterator[tuple[Plane, Plane]]:
    """Yield how far the line is brighter than its left and than its right side, for each direction in order."""

    def direction(index: int) -> tuple[Plane, Plane]:
        centre, left, right = (
            cv2.filter2D(smooth, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for kernel in _kernels()[index]
        )
        return np.asarray(centre - left, np.float32), np.asarray(centre - right, np.float32)

    with ThreadPoolExecutor(threads) as pool:
        # A few directions at a time, since each holds planes of the photo's size.
        for first in range(0, _ANGLES, threads):
            yield from pool.map(direction, range(first, min(first + threads, _ANGLES)))


@cache
def _kernels() -> tuple[tuple[Plane, Plane, Plane], ...]:
    angles = [np.pi * index / _ANGLES for index in range(_ANGLES)]
    return tuple((_segment(angle, 0), _segment(angle, _FLANK), _segment(angle, -_FLANK)) for angle in angles)


def _segment(angle: float, offset: float) -> Plane:
    """Return a kernel that averages along a line which passes the centre at a distance of `offset` pixels."""
    side = (_LENGTH + 2 * int(np.ceil(abs(offset))) + 2) | 1
    middle = (side - 1) / 2 + np.array([-np.sin(angle), np.cos(angle)]) * offset
    reach = np.array([np.cos(angle), np.sin(angle)]) * (_LENGTH - 1) / 2
    kernel = np.zeros((side, side), np.uint8)
    start, end = (np.rint((middle + sign * reach) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
    return np.asarray(kernel / kernel.sum(), np.float32)
