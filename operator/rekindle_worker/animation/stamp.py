"""A watermark on the frames of a video: worked out once for their size, then a few whole-number steps a frame."""

import numpy as np

from rekindle_worker.animation.frames import Frame
from rekindle_worker.watermark import Watermark

_ONE = 256
_HALF = 128


class Stamp:
    """Puts a text on frames of one size."""

    def __init__(self, text: str, width: int, height: int) -> None:
        keep, add = Watermark(text, width, height).over((slice(0, height), slice(0, width)))
        self._keep = np.rint(keep * _ONE).astype(np.uint16)[..., np.newaxis]
        # Rounding may make the two a hair more than one, which a white pixel would not fit in.
        most = np.uint16(65535 - _HALF) - self._keep * np.uint16(255)
        self._add = np.minimum(np.rint(add * (_ONE * 255)).astype(np.uint16)[..., np.newaxis], most) + np.uint16(_HALF)

    def on(self, frame: Frame) -> Frame:
        """Return a copy of a frame with the watermark on it."""
        lit = np.multiply(frame, self._keep, dtype=np.uint16)
        lit += self._add
        lit >>= 8
        return lit.astype(np.uint8)
