"""Finding scratches, hairs and dust: thin lines and small spots that stand out from both of their sides.

Lettering, ropes and whiskers are thin lines too. What tells them apart is weighed for each mark, and for the photo as
a whole: where much is surely damage, doubtful marks are likelier damage as well, and a clean photo stays untouched.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from rekindle_worker.photo import Mask, Pixels
from rekindle_worker.steps.colour import luma
from rekindle_worker.steps.denoise import measure_noise, remove_noise
from rekindle_worker.steps.marks import LINE, SPECK, Evidence, Marks, find_marks
from rekindle_worker.steps.ridges import LENGTH, LineResponses, line_responses

Plane = NDArray[np.float32]

_TEXTURE_WINDOW = 41
_SPECK_WINDOW = 25
_SURROUNDINGS = 11
_LEAST_RANGE = 0.1
# What is likelier content than this does not speak for damage elsewhere.
_LEAST_LOGIT = -1.0
# A photo with this share of its pixels under likely marks, and this many marks a pixel, is as likely dirty as clean.
_USUAL_SHARE, _USUAL_COUNT = 0.003, 0.0001
# From where to where dirt and grain count: where there is much of either, a doubtful mark is likelier damage.
_DIRT, _GRAIN = (0.4, 1.7), (2 / 255, 8 / 255)
# What they add to the log-odds of every mark.
_CLEAN_SHIFT, _DIRT_SHIFT, _GRAIN_SHIFT, _MOST_SHIFT = -0.6, 2.0, 1.2, 1.5
# Strength at which noise is taken out before the search: it breaks lines up and looks like dust.
_CALMING = 0.5


def find_scratches(pixels: Pixels, *, threads: int = 1) -> Mask:
    """Return where scratches, hairs and dust are.

    Args:
        pixels: float32, H x W x C in [0, 1], at a size where scratches are one to five pixels wide.
        threads: How many directions are looked into at once; it does not change the result.
    """
    if min(pixels.shape[:2]) < 2 * LENGTH:
        return np.zeros(pixels.shape[:2], np.bool_)
    noisy = luma(pixels)[..., np.newaxis]
    noise = measure_noise([noisy])
    brightness = _stretched(remove_noise(noisy, noise, _CALMING)[..., 0])
    grain = _grain(brightness)
    surroundings = _surroundings(brightness)
    responses = line_responses(brightness, threads=threads)
    marks: list[Marks] = []
    contrasts: list[Plane] = []
    for dark in (False, True):
        line, speck = _evidence(brightness, surroundings, responses, grain, dark=dark)
        contrast = line.contrast
        marks.append(find_marks(line, (line.score > 1.1) & (contrast > grain), line.score > 2.0, LINE))
        marks.append(find_marks(speck, speck.score > 0.8, speck.score > 1.5, SPECK))
        contrasts += [contrast, contrast]
    shift = _shift(marks, brightness.size, noise.sigma)
    mask = np.zeros(brightness.shape, np.bool_)
    for found, contrast in zip(marks, contrasts, strict=True):
        mask |= _grown(found.chosen(shift), contrast, grain)
    return mask


def _stretched(brightness: Plane) -> Plane:
    """Return the brightness with the photo's own black at 0 and white at 1, so that fading makes no difference."""
    black, white = np.percentile(cv2.GaussianBlur(brightness, (0, 0), 1.0), [1, 99])
    return np.asarray((brightness - black) / max(float(white - black), _LEAST_RANGE), np.float32)


def _grain(brightness: Plane) -> float:
    """Deviation of the finest grain, by the median of a second difference that ignores slopes."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return max(float(np.median(np.abs(cv2.filter2D(brightness, -1, kernel)))) / 0.6745 / 6, 3 / 255)


def _surroundings(brightness: Plane) -> Plane:
    coarse = np.rint(np.clip(brightness, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(coarse, _SURROUNDINGS), np.float32) / np.float32(255)


def _evidence(
    brightness: Plane, surroundings: Plane, responses: LineResponses, grain: float, *, dark: bool
) -> tuple[Evidence, Evidence]:
    """Return the evidence for lines and for specks of one polarity."""
    response = responses.dark if dark else responses.bright
    contrast = surroundings - brightness if dark else brightness - surroundings
    extremeness = 1 - brightness if dark else brightness
    texture = _box(responses.flanks, _TEXTURE_WINDOW)
    # Cut off, so that the marks themselves do not count as texture.
    liveliness = _box(np.minimum(np.abs(contrast), np.float32(4 * grain + 0.04)), _SPECK_WINDOW)
    line_score = response / (np.float32(0.6 * grain) + texture)
    speck_score = contrast / (np.float32(2.5 * grain) + 2 * liveliness)
    return (
        Evidence(line_score, contrast, extremeness, texture, grain),
        Evidence(speck_score, contrast, extremeness, liveliness, grain),
    )


def _box(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _shift(marks: list[Marks], pixels: int, sigma: float) -> float:
    """Return what the photo as a whole adds to the log-odds of each mark."""
    area, count = 0.0, 0
    for found in marks:
        likely = found.logits > _LEAST_LOGIT
        area += float(np.sum(found.areas[likely] / (1 + np.exp(-found.logits[likely]))))
        count += int(likely.sum())
    dirt = float(np.sqrt(area / (_USUAL_SHARE * pixels) * count / (_USUAL_COUNT * pixels)))
    return min(_MOST_SHIFT, _CLEAN_SHIFT + _DIRT_SHIFT * _share(dirt, *_DIRT) + _GRAIN_SHIFT * _share(sigma, *_GRAIN))


def _share(value: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (value - start) / (end - start)))


def _grown(chosen: Mask, contrast: Plane, grain: float) -> Mask:
    """Take in the soft rim of each mark, and close small gaps: what is left outside would colour the fill."""
    if not chosen.any():
        return chosen
    marks = chosen.astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(marks, cv2.MORPH_CLOSE, disc)
    rim = cv2.dilate(closed, disc) > 0
    core = cv2.dilate(closed, np.ones((3, 3), np.uint8)) > 0
    return np.asarray(core | (rim & (contrast > 1.5 * grain)), np.bool_)
