"""Noise: measured in the flat parts of the photo, one deviation for each frequency, and shrunk away in sliding blocks.

Grain that a scanner has blurred or a JPEG encoder has thinned out is not white; a profile by frequency fits it, and a
clean photo has a profile so low that nothing happens to it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Pixels
from rekindle_worker.steps import dct

# Orthonormal opponent colours: brightness, red against blue, green against both.
_AXES = np.array([[1, 1, 1], [1, 0, -1], [0.5, -1, 0.5]], np.float64)
_OPPONENT = (_AXES / np.linalg.norm(_AXES, axis=1, keepdims=True)).astype(np.float32)
SMALLEST_SIDE = 24
"""Smallest side in pixels of a window that tells anything about noise."""
_OFFSETS = ((0, 0), (3, 5), (5, 2))
_FLATTEST = 0.1
_CALMEST = 0.5
_FEWEST_BLOCKS = 64
# Half of a Gaussian's absolute values lie below this many deviations.
_MEDIAN_OF_GAUSSIAN = 0.6745
# Distance between blocks: eyes forgive more in colour than in brightness.
_BRIGHTNESS_STEP, _COLOUR_STEP = 2, 4
_THRESHOLD = 2.4
_USUAL_STRENGTH = 0.5
_LEAST_SIGMA = 0.4 / 255


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """How much noise there is."""

    deviations: NDArray[np.float32]
    """C x 64: the standard deviation for each opponent channel and frequency, in [0, 1]."""

    @property
    def sigma(self) -> float:
        """One figure for people: the deviation of the brightness, in [0, 1]."""
        brightness = float(np.sqrt(np.mean(np.square(self.deviations[0, 1:]))))
        return brightness / np.sqrt(3) if len(self.deviations) == 3 else brightness

    @property
    def negligible(self) -> bool:
        """Whether nobody would see the noise."""
        return self.sigma < _LEAST_SIGMA


def measure_noise(windows: list[Pixels]) -> NoiseProfile:
    """Estimate the noise from parts of a photo at full size, each H x W x C with H, W >= SMALLEST_SIDE.

    Blocks count as flat where the means of their neighbours agree, which fine grain hardly changes; of those, the
    calmer half is taken, since what is left of texture raises the energy of a block and never lowers it.
    """
    channels = windows[0].shape[2]
    spectra, unevenness = _blocks(windows)
    brightness = spectra[0][:, 0] / dct.SIDE / (np.sqrt(3) if channels == 3 else 1)
    # Noise is cut off beside black and white, so those blocks would tell too little.
    usable = np.flatnonzero((brightness > 0.04) & (brightness < 0.96))
    if len(usable) < _FEWEST_BLOCKS:
        usable = np.arange(len(brightness))
    count = max(_FEWEST_BLOCKS, int(_FLATTEST * len(usable)))
    flattest = usable[np.argsort(unevenness[usable], kind="stable")[:count]]
    return NoiseProfile(np.stack([_deviations(spectrum[flattest]) for spectrum in spectra]))


def remove_noise(pixels: Pixels, profile: NoiseProfile, strength: float) -> Pixels:
    """Shrink every frequency of sliding 8 x 8 blocks by what the profile says is noise; strength 0 changes nothing.

    References:
        G. Yu, G. Sapiro: DCT image denoising: a simple and effective image denoising algorithm. Image Processing On
        Line 1 (2011), 292-296.
        H.-Y. Gao: Wavelet shrinkage denoising using the non-negative garrote. Journal of Computational and Graphical
        Statistics 7 (1998), 469-488.
    """
    if strength <= 0:
        return pixels
    threshold = _THRESHOLD * strength / _USUAL_STRENGTH
    planes = _split(pixels)
    steps = (_BRIGHTNESS_STEP, _COLOUR_STEP, _COLOUR_STEP)
    cleaned = [
        _shrink(plane, np.square(np.float32(threshold) * deviations), step)
        for plane, deviations, step in zip(planes, profile.deviations, steps[: len(planes)], strict=True)
    ]
    return np.clip(_merge(cleaned), 0, 1)


def _split(pixels: Pixels) -> list[dct.Plane]:
    turned = pixels @ _OPPONENT.T if pixels.shape[2] == 3 else pixels
    return [np.ascontiguousarray(turned[..., channel]) for channel in range(turned.shape[2])]


def _merge(planes: list[dct.Plane]) -> Pixels:
    stacked = np.stack(planes, axis=-1)
    return stacked @ _OPPONENT if len(planes) == 3 else stacked


def _blocks(windows: list[Pixels]) -> tuple[list[dct.Plane], NDArray[np.float32]]:
    """Return the coefficients of all blocks for each channel, and how uneven the brightness around each block is."""
    spectra: list[list[dct.Plane]] = [[] for _ in range(windows[0].shape[2])]
    unevenness = []
    for window in windows:
        planes = _split(window)
        # Several offsets, since the blocks of a JPEG photo hide its noise from blocks that coincide with them.
        for top, left in _OFFSETS:
            for channel, plane in enumerate(planes):
                rows, down, across = dct.cut(plane, top, left)
                spectra[channel].append(dct.forward(rows))
            means = spectra[0][-1][:, 0].reshape(down, across) / dct.SIDE
            spread = cv2.blur(means * means, (3, 3)) - np.square(cv2.blur(means, (3, 3)))
            unevenness.append(np.sqrt(np.maximum(spread, 0)).ravel())
    return [np.concatenate(parts) for parts in spectra], np.concatenate(unevenness)


def _deviations(spectrum: dct.Plane) -> NDArray[np.float32]:
    waves = spectrum[:, 1:]
    energy = np.mean(np.square(waves), axis=1)
    calm = waves[energy <= np.quantile(energy, _CALMEST)]
    measured = np.median(np.abs(calm), axis=0) / _MEDIAN_OF_GAUSSIAN
    return np.concatenate([[0.0], measured]).astype(np.float32)


def _shrink(plane: dct.Plane, limits: NDArray[np.float32], step: int) -> dct.Plane:
    if not limits.any():
        return plane
    height, width = plane.shape
    framed = np.pad(plane, ((dct.SIDE, 2 * dct.SIDE), (dct.SIDE, 2 * dct.SIDE)), mode="symmetric")
    total, weights = np.zeros_like(framed), np.zeros_like(framed)
    for top in range(0, dct.SIDE, step):
        for left in range(0, dct.SIDE, step):
            rows, down, across = dct.cut(framed, top, left)
            spectrum = dct.forward(rows)
            kept = np.maximum(0, 1 - limits / np.maximum(np.square(spectrum), np.float32(1e-12)))
            kept[:, 0] = 1
            # A block that needs few coefficients is known best, and counts most where blocks overlap.
            weight = 1 / (1 + kept[:, 1:].sum(axis=1, keepdims=True))
            spot = np.s_[top : top + down * dct.SIDE, left : left + across * dct.SIDE]
            total[spot] += dct.joined(dct.inverse(spectrum * kept) * weight, down, across)
            weights[spot] += dct.joined(np.repeat(weight, dct.COEFFICIENTS, axis=1), down, across)
    inside = np.s_[dct.SIDE : dct.SIDE + height, dct.SIDE : dct.SIDE + width]
    return total[inside] / weights[inside]
