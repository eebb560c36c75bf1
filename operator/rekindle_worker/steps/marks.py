"""Marks: connected pixels that may be one scratch, hair or speck, each with figures that tell damage from content."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask
from rekindle_worker.steps.candidates import Candidates, Pixels

Plane = NDArray[np.float32]

_NEIGHBOURHOOD = 61


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mark: which components may be one, and how its figures are weighed."""

    shortest: int
    """Shortest diagonal in pixels."""
    largest: int
    """Largest side in pixels."""
    fewest: int
    """Smallest area in pixels."""
    widest: float
    """Largest area for each pixel of the diagonal: a net of lines is no scratch."""
    bias: float
    weights: tuple[float, ...]
    """Weights of the figures that `Marks.figures` holds, fitted by logistic regression on photos with seeded damage."""


LINE = Kind(
    shortest=14,
    largest=1_000_000,
    fewest=1,
    widest=6.0,
    bias=-7.73,
    weights=(-0.03, -0.65, 2.77, 0.51, 1.59, -0.33, -0.67, 0.04, -1.7),
)
SPECK = Kind(
    shortest=0,
    largest=12,
    fewest=2,
    widest=12.0,
    bias=-3.3,
    weights=(-0.26, -0.58, 1.78, -0.35, -0.11, -0.06, -0.72, -0.51, 1.66),
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a mark at each pixel, H x W each, for one polarity."""

    score: Plane
    """How far it stands out, measured in what is usual around it."""
    contrast: Plane
    """Difference to the surroundings on the scale of the brightness, positive in the direction that is looked for."""
    extremeness: Plane
    """Brightness as a share of the photo's range, counted towards white for bright marks and towards black for dark."""
    texture: Plane
    """How lively the neighbourhood is."""
    grain: float
    """Standard deviation of the photo's grain."""


@dataclass(frozen=True, slots=True)
class Marks(Candidates):
    """Candidates of one kind and polarity, with their sizes."""

    areas: NDArray[np.int64]
    """Their areas in pixels."""


def find_marks(evidence: Evidence, wide: Mask, sure: Mask, kind: Kind) -> Marks:
    """Join the pixels of `wide`, keep the components that touch `sure` and have the size of their kind, weigh them."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(wide.astype(np.uint8), connectivity=8)
    sides = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    diagonals, areas = np.hypot(sides[:, 0], sides[:, 1]), boxes[:, cv2.CC_STAT_AREA].astype(np.int64)
    touched = np.zeros(count, np.bool_)
    touched[labels[sure & wide]] = True
    touched[0] = False
    fits = (diagonals >= kind.shortest) & (sides.max(axis=1) <= kind.largest) & (areas >= kind.fewest)
    fits &= areas <= kind.widest * diagonals
    numbers = np.flatnonzero(touched & fits)
    figures = _figures(evidence, wide, np.asarray(labels, np.int32), numbers, diagonals[numbers])
    logits = figures @ np.array(kind.weights) + kind.bias
    return Marks(np.asarray(labels, np.int32), numbers, logits, areas[numbers])


def _figures(
    evidence: Evidence,
    wide: Mask,
    labels: NDArray[np.int32],
    numbers: NDArray[np.int64],
    diagonals: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return nine figures for each component, in the order in which a kind weighs them."""
    pixels = Pixels(labels, numbers)
    mean, area = pixels.mean, pixels.area

    crowd = np.asarray(cv2.blur(wide.astype(np.float32), (_NEIGHBOURHOOD, _NEIGHBOURHOOD)), np.float32)
    others = np.maximum(mean(crowd) - area / _NEIGHBOURHOOD**2, 0)
    contrast = mean(evidence.contrast)
    return np.stack(
        [
            np.log(diagonals + 1),
            np.log(area / np.maximum(diagonals, 1)),
            np.log(np.maximum(mean(evidence.score), 0.1)),
            np.log(np.maximum(contrast, 1e-3) / evidence.grain),
            mean(evidence.extremeness),
            np.log(np.maximum(mean(evidence.texture), 1e-6) / evidence.grain),
            np.log(others + 0.003),
            _elongation(pixels),
            contrast,
        ],
        axis=1,
    )


def _elongation(pixels: Pixels) -> NDArray[np.float64]:
    """Return the logarithm of the ratio of both principal variances of each component."""
    rows, columns = (part.astype(np.float64) for part in np.nonzero(pixels.inside))
    owners, area = pixels.owners, pixels.area
    size = len(area)
    row, column = (np.bincount(owners, values, minlength=size) / area for values in (rows, columns))
    down, across = rows - row[owners], columns - column[owners]
    yy, xx, xy = (np.bincount(owners, v, minlength=size) / area for v in (down**2, across**2, down * across))
    root = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    # A row of single pixels still has the variance of one pixel's width.
    narrow = np.maximum((xx + yy - root) / 2, 1 / 12)
    return np.asarray(np.log(np.maximum((xx + yy + root) / 2, 1 / 12) / narrow), np.float64)
