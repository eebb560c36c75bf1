"""The 8 x 8 discrete cosine transform as one matrix product for many blocks at once."""

import numpy as np
from numpy.typing import NDArray

SIDE = 8
COEFFICIENTS = SIDE * SIDE

Plane = NDArray[np.float32]


def _basis() -> Plane:
    index = np.arange(SIDE)
    cosines = np.sqrt(2 / SIDE) * np.cos(np.pi * (2 * index[np.newaxis] + 1) * index[:, np.newaxis] / (2 * SIDE))
    cosines[0] /= np.sqrt(2)
    return np.kron(cosines, cosines).astype(np.float32)


_BASIS = _basis()


def cut(plane: Plane, top: int, left: int) -> tuple[Plane, int, int]:
    """Cut a plane, H x W, into blocks from an offset on; what does not fill a block is left out.

    Returns:
        The blocks as rows of 64 values, and how many there are down and across.
    """
    down, across = (plane.shape[0] - top) // SIDE, (plane.shape[1] - left) // SIDE
    area = plane[top : top + down * SIDE, left : left + across * SIDE]
    rows = area.reshape(down, SIDE, across, SIDE).swapaxes(1, 2).reshape(-1, COEFFICIENTS)
    return rows, down, across


def joined(rows: Plane, down: int, across: int) -> Plane:
    """Put blocks together again; the inverse of `cut`."""
    return rows.reshape(down, across, SIDE, SIDE).swapaxes(1, 2).reshape(down * SIDE, across * SIDE)


def forward(rows: Plane) -> Plane:
    """Transform blocks; the first coefficient is 8 times the mean, and noise of unit deviation stays so in each."""
    return rows @ _BASIS.T


def inverse(coefficients: Plane) -> Plane:
    """Transform coefficients back to blocks."""
    return coefficients @ _BASIS
