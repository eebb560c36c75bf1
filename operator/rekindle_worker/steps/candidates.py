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
