"""The photo in memory: 16 bits a channel while it is stored, float32 while a step works on a tile of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
"""H x W x C in [0, 1], sRGB-encoded; C is 3 for colour and 1 for grey."""
Stored = NDArray[np.uint16]
"""The same in 16-bit integers: half the memory, and exact for every file that this program reads."""
Mask = NDArray[np.bool_]
"""H x W, true where the photo is damaged."""

_FULL = 65535
_BAND = 256
"""Rows that are converted at once, so that no second photo of 16 bits comes into being."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: upright, sRGB, without alpha and metadata."""

    pixels: Stored
    bits: int
    """Bits a channel of the file it came from: 8 or 16."""
    warnings: tuple[str, ...] = ()
    """What the file asked for and could not be honoured."""
    file_size: tuple[int, int] | None = None
    """Width and height in the file, upright, when that may be more than the pixels here."""

    @property
    def source_size(self) -> tuple[int, int]:
        """Width and height in the file, upright."""
        return self.file_size or (self.width, self.height)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])


def to_float(stored: Stored) -> Pixels:
    """Return stored pixels as float32 in [0, 1]."""
    return np.multiply(stored, np.float32(1 / _FULL), dtype=np.float32)


def to_stored(pixels: Pixels) -> Stored:
    """Return float pixels as 16-bit integers, rounded and clipped."""
    scaled = np.multiply(pixels, np.float32(_FULL), dtype=np.float32)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, _FULL, out=scaled)
    return scaled.astype(np.uint16)


def from_bytes(pixels: NDArray[np.uint8]) -> Stored:
    """Return 8-bit pixels as 16-bit ones: 255 becomes 65535 exactly."""
    return pixels.astype(np.uint16) * np.uint16(257)


def to_bytes(stored: Stored) -> NDArray[np.uint8]:
    """Return 16-bit pixels rounded to 8 bits; the exact inverse of `from_bytes`."""
    result = np.empty(stored.shape, np.uint8)
    for top in range(0, len(stored), _BAND):
        # (v + 128) / 257 rounds to nearest; uint32 would double the memory, so the sum saturates instead.
        raised = np.minimum(stored[top : top + _BAND], np.uint16(_FULL - 128)) + np.uint16(128)
        result[top : top + _BAND] = raised // np.uint16(257)
    return result
