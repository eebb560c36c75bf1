"""Filling in scratches and dust from what lies around them."""

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from rekindle_crds.restore import Inpainting
from rekindle_worker.photo import Mask, Pixels

_TELEA_RADIUS = 4
# Time of the biharmonic fill grows faster than a hole, so Auto keeps it to photos with thin damage.
_MOST_BIHARMONIC_SHARE = 0.12
_MOST_BIHARMONIC_PIXELS = 60_000


def choose_method(damaged: Mask, wanted: Inpainting) -> Inpainting:
    """Return the method to use: what is wanted, or for Auto the better one that the damage allows."""
    if wanted is not Inpainting.AUTO:
        return wanted
    count = int(damaged.sum())
    thin = count <= min(_MOST_BIHARMONIC_PIXELS, _MOST_BIHARMONIC_SHARE * damaged.size)
    return Inpainting.BIHARMONIC if thin else Inpainting.TELEA


def fill(pixels: Pixels, damaged: Mask, method: Inpainting) -> Pixels:
    """Return the pixels with the damaged ones replaced; the others keep their values.

    Args:
        pixels: float32, H x W x C in [0, 1].
        damaged: H x W; where it is true everywhere, there is nothing to fill from and nothing changes.
        method: Biharmonic or Telea.

    References:
        S. B. Damelin, N. S. Hoang: On surface completion and image inpainting by biharmonic functions: numerical
        aspects. International Journal of Mathematics and Mathematical Sciences (2018), 3950312.
        A. Telea: An image inpainting technique based on the fast marching method. Journal of Graphics Tools 9 (2004),
        23-34.
    """
    if not damaged.any() or damaged.all():
        return pixels
    if method is Inpainting.BIHARMONIC:
        filled = inpaint_biharmonic(pixels, damaged, split_into_regions=True, channel_axis=-1)
        return np.clip(np.asarray(filled, np.float32), 0, 1)
    return _telea(pixels, damaged)


def _telea(pixels: Pixels, damaged: Mask) -> Pixels:
    """Fill by OpenCV, which works on 8 bits in colour; pixels outside the mask keep their full depth."""
    holes = damaged.astype(np.uint8)
    coarse = np.rint(pixels * 255).astype(np.uint8)
    filled = cv2.inpaint(coarse[..., 0] if coarse.shape[2] == 1 else coarse, holes, _TELEA_RADIUS, cv2.INPAINT_TELEA)
    shaped = np.asarray(filled, np.float32).reshape(pixels.shape) / 255
    return np.where(damaged[..., np.newaxis], shaped, pixels)
