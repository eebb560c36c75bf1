"""Colour arithmetic that several steps share."""

import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Pixels

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(pixels: Pixels) -> NDArray[np.float32]:
    """Return the brightness, H x W in [0, 1], of colour or grey pixels."""
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    return pixels @ _LUMA
