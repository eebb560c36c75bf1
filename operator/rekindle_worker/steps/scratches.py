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
# What is likelier content than this does not speak for damage elsewhere.
_LEAST_LOGIT = -2.0
# Share of the photo that is expected to be under marks, and what it adds to the log-odds of every mark.
_CLEAN_SHARE, _DIRTY_SHARE = 0.003, 0.007
_CLEAN_SHIFT, _DIRTY_SHIFT = -0.4, 1.3


def find_damage(pixels: Pixels, *, threads: int = 1) -> Mask:
    """Return where scratches, hairs and dust are.

    Args:
        pixels: float32, H x W x C in [0, 1], at a size where scratches are one to five pixels wide.
        threads: How many directions are looked into at once; it does not change the result.
    """
    if min(pixels.shape[:2]) < 2 * LENGTH:
        return np.zeros(pixels.shape[:2], np.bool_)
    brightness = _calmed(luma(pixels))
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
    shift = _shift(marks, brightness.size)
    mask = np.zeros(brightness.shape, np.bool_)
    for found, contrast in zip(marks, contrasts, strict=True):
        mask |= _grown(found.chosen(shift), contrast, grain)
    return mask


def _calmed(brightness: Plane) -> Plane:
    """Return the brightness without its noise, which would break lines up and look like dust."""
    single = brightness[..., np.newaxis]
    return np.ascontiguousarray(remove_noise(single, measure_noise([single]), 0.5)[..., 0])


def _grain(brightness: Plane) -> float:
    """Deviation of the finest grain, by the median of a second difference that ignores slopes."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return max(float(np.median(np.abs(cv2.filter2D(brightness, -1, kernel)))) / 0.6745 / 6, 0.8 / 255)


def _surroundings(brightness: Plane) -> Plane:
    coarse = np.rint(np.clip(brightness, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(coarse, _SURROUNDINGS), np.float32) / np.float32(255)


def _evidence(
    brightness: Plane, surroundings: Plane, responses: LineResponses, grain: float, *, dark: bool
) -> tuple[Evidence, Evidence]:
    """Return the evidence for lines and for specks of one polarity."""
    black, white = np.percentile(cv2.GaussianBlur(brightness, (0, 0), 1.0), [1, 99])
    span = max(float(white - black), 0.1)
    response = responses.dark if dark else responses.bright
    contrast = surroundings - brightness if dark else brightness - surroundings
    extremeness = (np.float32(white) - brightness if dark else brightness - np.float32(black)) / np.float32(span)
    texture = _box(responses.flanks, _TEXTURE_WINDOW)
    # Cut off, so that the marks themselves do not count as texture.
    liveliness = _box(np.minimum(np.abs(contrast), np.float32(4 * grain + 0.04)), _SPECK_WINDOW)
    line_score = response / (np.float32(0.6 * grain) + texture)
    speck_score = contrast / (np.float32(2.5 * grain) + 2 * liveliness)
    return (
        Evidence(line_score, contrast, extremeness, texture, grain, span),
        Evidence(speck_score, contrast, extremeness, liveliness, grain, span),
    )


def _box(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _shift(marks: list[Marks], pixels: int) -> float:
    """Return what the photo as a whole adds to the log-odds of each mark."""
    expected = 0.0
    for found in marks:
        likely = found.logits > _LEAST_LOGIT
        expected += float(np.sum(found.areas[likely] / (1 + np.exp(-found.logits[likely]))))
    dirt = (expected / pixels - _CLEAN_SHARE) / (_DIRTY_SHARE - _CLEAN_SHARE)
    return float(_CLEAN_SHIFT + (_DIRTY_SHIFT - _CLEAN_SHIFT) * min(1.0, max(0.0, dirt)))


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
