"""Faded tones and colours: black and white points of each channel are put back where the dyes once had them.

Fading lifts the blacks; a photo whose blacks are black is not faded, however narrow or coloured its range is, and is
left alone. The evidence grows smoothly, so that no photo flips between two looks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask, Pixels
from rekindle_worker.steps.colour import luma

_LOW, _HIGH = 0.4, 99.6
_SMOOTHING = 1.0
# Brightness of the black point: below the first it is a good black, above the second it is surely faded.
_GOOD_BLACK, _FADED_BLACK = 0.05, 0.15
_TARGET_BLACK, _TARGET_WHITE = 0.01, 0.98
# Dyes that lose the blacks lose the whites about as much: what a channel lacks beyond that, the scene never had.
_WHITE_PER_BLACK = 1.15
_LEAST_RANGE = 0.2
_MIDDLE = 0.45
_NEAR_MIDDLE = (0.2, 0.7)
_GAMMA = (0.9, 1.1)
_NEUTRAL_GAMMA = (0.88, 1.14)
_KNOTS = 1024
# As many as the stored photo can tell apart.
_LEVELS = 65536


@dataclass(frozen=True, slots=True)
class ToneCurves:
    """One curve for each channel, and how sure it is that the photo needs them."""

    curves: NDArray[np.float32]
    """C x 1024: output for evenly spaced inputs from 0 to 1."""
    evidence: float
    """How sure it is that the photo has faded, from 0 to 1."""
    black: tuple[float, ...]
    """Measured black point of each channel."""
    white: tuple[float, ...]
    """Measured white point of each channel."""


def measure_tone(pixels: Pixels, damaged: Mask | None) -> ToneCurves:
    """Find the curves that a faded photo needs.

    Args:
        pixels: float32, H x W x C in [0, 1], reduced to about half a megapixel.
        damaged: H x W; these pixels tell nothing about the photo.
    """
    smooth = np.asarray(cv2.GaussianBlur(pixels, (0, 0), _SMOOTHING), np.float32).reshape(pixels.shape)
    sound = smooth.reshape(-1, pixels.shape[2])
    if damaged is not None and not damaged.all():
        sound = sound[~damaged.ravel()]
    black, white = np.percentile(sound, [_LOW, _HIGH], axis=0)
    brightness = luma(sound[np.newaxis])[0]
    evidence = _ramp(float(np.percentile(brightness, _LOW)), _GOOD_BLACK, _FADED_BLACK)
    white = np.maximum(white, black + _LEAST_RANGE)
    knots = np.linspace(0, 1, _KNOTS)[:, np.newaxis]
    stretched = _stretch(knots, black, white)
    gamma = _gamma(_stretch(sound, black, white))
    curves = np.clip(stretched, 0, 1) ** gamma
    blended = knots + evidence * (curves - knots)
    return ToneCurves(
        curves=np.ascontiguousarray(np.clip(blended, 0, 1).T, np.float32),
        evidence=evidence,
        black=tuple(float(value) for value in black),
        white=tuple(float(value) for value in white),
    )


def recover_tone(pixels: Pixels, tone: ToneCurves, strength: float) -> Pixels:
    """Apply measured curves; strength 0 changes nothing, and so does a photo without evidence of fading."""
    if strength <= 0 or tone.evidence <= 0:
        return pixels
    levels = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    knots = np.linspace(0, 1, _KNOTS, dtype=np.float32)
    index = np.rint(pixels * np.float32(_LEVELS - 1)).astype(np.uint16)
    recovered = np.empty_like(pixels)
    for channel, curve in enumerate(tone.curves):
        table = levels + strength * (np.interp(levels, knots, curve) - levels)
        recovered[..., channel] = table.astype(np.float32)[index[..., channel]]
    return recovered


def _ramp(value: float, start: float, end: float) -> float:
    share = min(1.0, max(0.0, (value - start) / (end - start)))
    return share * share * (3 - 2 * share)


def _stretch(
    values: NDArray[np.floating], black: NDArray[np.floating], white: NDArray[np.floating]
) -> NDArray[np.float64]:
    target = np.minimum(_TARGET_WHITE, white + _WHITE_PER_BLACK * black)
    scale = (np.maximum(target, white) - _TARGET_BLACK) / (white - black)
    return np.asarray((values - black) * scale + _TARGET_BLACK, np.float64)


def _gamma(stretched: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an exponent for each channel: towards a middle brightness, and a neutral grey in what is nearly grey."""
    inside = np.clip(stretched, 1e-3, 1)
    middle = float(np.median(luma(inside[np.newaxis].astype(np.float32))))
    # A dark median is a night scene as likely as a dark print: only photos near the middle are moved, and little.
    common = 1.0
    if _NEAR_MIDDLE[0] < middle < _NEAR_MIDDLE[1]:
        common = float(np.clip((np.log(_MIDDLE) / np.log(middle)) ** 0.5, *_GAMMA))
    if inside.shape[1] == 1:
        return np.full(1, common)
    spread = np.ptp(inside, axis=1)
    mean = inside.mean(axis=1)
    tones = (mean > 0.2) & (mean < 0.8)
    if tones.sum() < 100:
        return np.full(3, common)
    greyest = inside[tones & (spread <= np.quantile(spread[tones], 0.3))]
    centre = np.median(greyest, axis=0)
    neutral = np.clip((np.log(centre.mean()) / np.log(centre)) ** 0.5, *_NEUTRAL_GAMMA)
    return np.asarray(common * neutral, np.float64)
