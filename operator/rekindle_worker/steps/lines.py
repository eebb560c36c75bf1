"""Candidates for scratches and hairs: lines at three scales, each with its odds of being damage.

A rope, a whisker and a scratch are all thin lines. What tells them apart is weighed by logistic regression, fitted on
photos with seeded damage.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask
from rekindle_worker.steps.candidates import Candidates, Pixels
from rekindle_worker.steps.line_filter import LineResponses, Plane, Ridges, line_responses

_SCALES = 3
_SMALLEST_SIDE = 200
_SHORTEST = 16
_THICKEST = 9.0
_WINDOW = 61
_POSSIBLE, _CERTAIN = 1.0, 1.6
_LEAST_RANGE = 0.15
_WEIGHTS = {
    "length": 0.4,
    "width": -1.93,
    "score": 1.58,
    "contrast": 3.22,
    "extremeness": 0.5,
    "unevenness": -0.26,
    "imbalance of the sides": -2.13,
    "texture around": -2.05,
    "other lines around": -0.43,
    "chroma": -2.75,
    "chroma around, less its own": 18.74,
    "unevenness of the background": 0.17,
    "scale": 0.95,
    "polarity": 0.29,
}
_BIAS = -6.7


@dataclass(frozen=True, slots=True)
class _Scale:
    """A photo at one scale, and what is known of all its lines."""

    level: int
    brightness: Plane
    chroma: Plane
    grain: float
    black: float
    range: float


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What speaks for lines of one polarity at each pixel."""

    ridges: Ridges
    score: Plane
    """How far a line stands out, measured in what is usual around it."""
    texture: Plane
    possible: Mask


def find_lines(brightness: Plane, chroma: Plane, grain: float, *, threads: int) -> list[Candidates]:
    """Return the lines of a photo that may be damage.

    Args:
        brightness: H x W in [0, 1], freed of noise, of about a megapixel at the most.
        chroma: H x W, the difference between the largest and the smallest channel, freed of noise as well.
        grain: Standard deviation of the noise that was there.
        threads: How many directions are looked into at once; it does not change the result.
    """
    found = []
    for scale in _pyramid(brightness, chroma, grain):
        responses = line_responses(scale.brightness, threads=threads)
        found += [_candidates(scale, responses, dark=dark) for dark in (False, True)]
    return found


def _pyramid(brightness: Plane, chroma: Plane, grain: float) -> Iterator[_Scale]:
    black, white = np.percentile(cv2.GaussianBlur(brightness, (0, 0), 1.0), [1, 99])
    span = max(float(white - black), _LEAST_RANGE)
    for level in range(_SCALES):
        if level > 0 and min(brightness.shape) / 2 < _SMALLEST_SIDE:
            return
        if level > 0:
            brightness, chroma = _halved(brightness), _halved(chroma)
        yield _Scale(level, brightness, chroma, grain / 2**level, float(black), span)


def _halved(plane: Plane) -> Plane:
    return np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _candidates(scale: _Scale, responses: LineResponses, *, dark: bool) -> Candidates:
    """Join pixels on lines to components, and weigh those that are long, thin and certain somewhere."""
    ridges = responses.dark if dark else responses.bright
    texture = _box(responses.liveliness, _WINDOW)
    score = ridges.height / (np.float32(0.8 * scale.grain + 0.012) + np.float32(0.8) * texture)
    possible = score > _POSSIBLE
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(possible.astype(np.uint8), connectivity=8)
    lengths = np.hypot(boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT])
    certain = np.zeros(count, np.bool_)
    certain[labels[score > _CERTAIN]] = True
    certain[0] = False
    fits = (lengths >= _SHORTEST) & (boxes[:, cv2.CC_STAT_AREA] <= _THICKEST * lengths)
    numbers = np.flatnonzero(certain & fits)
    components = np.asarray(labels, np.int32)
    evidence = _Evidence(ridges, score, texture, possible)
    figures = _figures(scale, evidence, components, numbers, lengths[numbers], dark=dark)
    return Candidates(components, numbers, figures @ np.array(list(_WEIGHTS.values())) + _BIAS)


def _figures(
    scale: _Scale,
    evidence: _Evidence,
    labels: NDArray[np.int32],
    numbers: NDArray[np.int64],
    lengths: NDArray[np.float64],
    *,
    dark: bool,
) -> NDArray[np.float64]:
    """Return one row of figures for each candidate, in the order of `_WEIGHTS`."""
    pixels = Pixels(labels, numbers)
    mean, area = pixels.mean, pixels.area

    def deviation(plane: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(mean(plane * plane) - mean(plane) ** 2, 0))

    smooth = np.asarray(cv2.GaussianBlur(scale.brightness, (0, 0), 0.7), np.float32)
    coarse = np.rint(np.clip(scale.brightness, 0, 1) * 255).astype(np.uint8)
    background = np.asarray(cv2.medianBlur(coarse, 15), np.float32) / np.float32(255)
    height = mean(evidence.ridges.height) + 0.003
    brightness = (mean(smooth) - scale.black) / scale.range
    crowd = mean(_box(evidence.possible.astype(np.float32), _WINDOW)) - area / _WINDOW**2
    return np.stack(
        [
            np.log(lengths),
            np.log(area / lengths),
            np.log(np.maximum(mean(evidence.score), 0.1)),
            np.log(np.maximum(mean(np.abs(scale.brightness - background)), 1e-3) / scale.range),
            1 - brightness if dark else brightness,
            np.log((deviation(smooth) + 0.003) / height),
            np.log((mean(evidence.ridges.imbalance) + 0.003) / height),
            np.log(mean(evidence.texture) / scale.range + 1e-3),
            np.log(np.maximum(crowd, 0) + 0.003),
            mean(scale.chroma),
            mean(_box(scale.chroma, 15) - scale.chroma),
            np.log(deviation(background) / scale.range + 0.01),
            np.full(len(numbers), float(scale.level)),
            np.full(len(numbers), -1.0 if dark else 1.0),
        ],
        axis=1,
    )


def _box(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)
