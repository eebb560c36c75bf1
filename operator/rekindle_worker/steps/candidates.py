"""Connected pixels that may be damage, and which of them are taken for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask


@dataclass(frozen=True, slots=True)
class Candidates:
    """Components of one kind, polarity and scale."""

    labels: NDArray[np.int32]
    """H x W: number of the component at each pixel."""
    numbers: NDArray[np.int64]
    """Numbers of those components that may be damage."""
    logits: NDArray[np.float64]
    """Log-odds that each is damage, before anything is known about the rest of the photo."""

    def chosen(self, shift: float) -> Mask:
        """Return the pixels of candidates that are likelier damage than not, when the whole photo adds `shift`."""
        keep = np.zeros(int(self.labels.max()) + 1, np.bool_)
        keep[self.numbers[self.logits + shift > 0]] = True
        return np.asarray(keep[self.labels], np.bool_)


class Pixels:
    """The pixels of some components, by component.

    Attributes:
        inside: H x W; whether a pixel belongs to one of them.
        owners: For each such pixel, in row order, the index of its component.
        area: How many pixels each component has.
    """

    def __init__(self, labels: NDArray[np.int32], numbers: NDArray[np.int64]) -> None:
        position = np.full(int(labels.max()) + 1, -1)
        position[numbers] = np.arange(len(numbers))
        owner = position[labels]
        self.inside: Mask = owner >= 0
        self.owners: NDArray[np.int64] = owner[self.inside]
        self.area = np.bincount(self.owners, minlength=len(numbers)).astype(np.float64)

    def mean(self, plane: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the mean of an H x W plane over each component."""
        return np.bincount(self.owners, plane[self.inside], minlength=len(self.area)) / self.area
