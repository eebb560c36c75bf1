"""Responses to thin lines in all directions, brighter or darker than both of their sides."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

LENGTH = 17
"""Length in pixels over which a line is averaged."""
_ANGLES = 16
_WIDTHS = (1, 3)
_FLANK = 2


@dataclass(frozen=True, slots=True)
class LineResponses:
    """How far lines stand out, each H x W on the scale of the brightness, and negative where there is none."""

    bright: Plane
    """Above the brighter of both sides, in the best direction."""
    dark: Plane
    """Below the darker of both sides, in the best direction."""
    flanks: Plane
    """How much the sides differ, averaged over all directions: a measure of texture."""


def line_responses(brightness: Plane, *, threads: int) -> LineResponses:
    """Compare a line with both of its sides, in 16 directions and two widths.

    An edge has one side as bright as the line, so it gives no response: that tells a scratch from an outline.

    Args:
        brightness: H x W in [0, 1].
        threads: How many directions are looked into at once; it does not change the result.
    """
    smooth = np.asarray(cv2.GaussianBlur(brightness, (0, 0), 0.6), np.float32)
    bright, dark = np.full_like(smooth, -1), np.full_like(smooth, -1)
    flanks = np.zeros_like(smooth)

    def direction(index: int) -> LineResponses:
        return _direction(smooth, np.pi * index / _ANGLES)

    with ThreadPoolExecutor(threads) as pool:
        # A few directions at a time, since each holds three planes.
        for first in range(0, _ANGLES, threads):
            for found in pool.map(direction, range(first, min(first + threads, _ANGLES))):
                np.maximum(bright, found.bright, out=bright)
                np.maximum(dark, found.dark, out=dark)
                flanks += found.flanks / np.float32(_ANGLES)
    return LineResponses(bright, dark, flanks)


def _direction(smooth: Plane, angle: float) -> LineResponses:
    along = np.asarray(cv2.filter2D(smooth, -1, _segment(angle), borderType=cv2.BORDER_REFLECT_101), np.float32)
    across = np.array([-np.sin(angle), np.cos(angle)])
    bright, dark = np.full_like(smooth, -1), np.full_like(smooth, -1)
    flanks = np.zeros_like(smooth)
    for width in _WIDTHS:
        centre = along
        if width > 1:
            centre = (along + _moved(along, across) + _moved(along, -across)) / np.float32(3)
        reach = (width / 2 + _FLANK) * across
        left, right = _moved(along, reach), _moved(along, -reach)
        np.maximum(bright, centre - np.maximum(left, right), out=bright)
        np.maximum(dark, np.minimum(left, right) - centre, out=dark)
        flanks += np.abs(left - right) / np.float32(len(_WIDTHS))
    return LineResponses(bright, dark, flanks)


def _segment(angle: float) -> Plane:
    """Return a kernel that averages along a line."""
    kernel, centre = np.zeros((LENGTH, LENGTH), np.uint8), (LENGTH - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    start, end = (np.rint((centre + sign * reach) * 16).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA, 4)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _moved(plane: Plane, by: NDArray[np.float64]) -> Plane:
    matrix = np.array([[1, 0, -by[0]], [0, 1, -by[1]]], np.float32)
    size = (plane.shape[1], plane.shape[0])
    return np.asarray(cv2.warpAffine(plane, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
