"""What kind of photo it is: a monochrome print, perhaps toned or yellowed, or a colour photo."""

from dataclasses import dataclass

import cv2
import numpy as np

from rekindle_worker.photo import Pixels
from rekindle_worker.steps.colour import luma

# In CIE L*a*b* units: spread of the hue around the tone curve of the print.
_MONOCHROME_SPREAD = 4.5
_SMOOTHING = 2.0
_TONES = 16


@dataclass(frozen=True, slots=True)
class Analysis:
    """Figures on the whole photo."""

    monochrome: bool
    """Whether all colour is explained by one hue for each brightness, as in a toned or yellowed print."""
    chroma_spread: float
    """How far colours scatter around that hue, in CIE L*a*b* units."""
    chroma: float
    """Mean distance of the colours from grey, in CIE L*a*b* units."""


def analyse(pixels: Pixels) -> Analysis:
    """Tell a monochrome print from a colour photo.

    A print in one tint, however yellow, has the same a* and b* wherever it has the same brightness; a colour photo,
    however faded, has not. The photo comes reduced, so that grain and JPEG artefacts are averaged away.

    Args:
        pixels: float32, H x W x C in [0, 1]; about half a megapixel is enough.
    """
    if pixels.shape[2] == 1:
        return Analysis(monochrome=True, chroma_spread=0.0, chroma=0.0)
    smooth = np.asarray(cv2.GaussianBlur(pixels, (0, 0), _SMOOTHING), np.float32)
    lab = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.float32)
    tones = np.minimum((luma(smooth) * _TONES).astype(np.int64), _TONES - 1)
    scatter = np.zeros(tones.shape, np.float32)
    for tone in np.unique(tones):
        inside = tones == tone
        hue = np.median(lab[inside][:, 1:], axis=0)
        scatter[inside] = np.hypot(*(lab[inside][:, 1:] - hue).T)
    # A stamp or a pen stroke in colour does not make a colour photo.
    spread = float(np.quantile(scatter, 0.95))
    return Analysis(
        monochrome=spread < _MONOCHROME_SPREAD,
        chroma_spread=spread,
        chroma=float(np.mean(np.hypot(lab[..., 1], lab[..., 2]))),
    )
