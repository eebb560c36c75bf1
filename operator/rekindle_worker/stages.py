"""The steps of a restoration in their order, each with what it measures first and what it writes into the record."""

import cv2
import numpy as np

from rekindle_crds import RestoreParameters
from rekindle_crds.restore import ColorMode
from rekindle_worker.bench import Bench, Facts, State, Step, shrunk, windows
from rekindle_worker.photo import Mask, Pixels, Stored, to_float, to_stored
from rekindle_worker.steps.colour import luma
from rekindle_worker.steps.defects import find_damage
from rekindle_worker.steps.denoise import SMALLEST_SIDE, measure_noise, remove_noise
from rekindle_worker.steps.inpaint import choose_method, fill
from rekindle_worker.steps.sharpen import measure_softness, sharpen
from rekindle_worker.steps.tone import measure_tone, recover_tone

ANALYSED_PIXELS = 500_000
_REPAIRED_PIXELS = 2_000_000
# A scratch on a large scan is wide and holds no detail: damage is looked for and filled at this size.
_FEATHER = 1.0


def output_size(width: int, height: int, max_megapixels: int | None) -> tuple[int, int]:
    """Return the size of the result: that of the photo, or scaled down to at most so many megapixels."""
    factor = (max_megapixels * 1_000_000 / (width * height)) ** 0.5 if max_megapixels is not None else 1.0
    if factor >= 1:
        return width, height
    return max(1, int(width * factor)), max(1, int(height * factor))


def _grey(state: State, bench: Bench) -> tuple[State, Facts]:
    mode = bench.parameters.color_mode
    facts: Facts = {"monochrome": state.analysis.monochrome, "chromaSpread": round(state.analysis.chroma_spread, 2)}
    if state.pixels.shape[2] == 1 or (mode is ColorMode.AUTO and not state.analysis.monochrome):
        return state, facts
    grey = bench.tiled(state.pixels, lambda tile: luma(tile)[..., np.newaxis], overlap=0, channels=1)
    return State(grey, state.analysis), facts


def _find(state: State, bench: Bench) -> tuple[State, Facts]:
    damaged = find_damage(shrunk(state.pixels, _REPAIRED_PIXELS), threads=bench.threads)
    facts: Facts = {"damagedPerMille": round(float(damaged.mean()) * 1000, 2)}
    return State(state.pixels, state.analysis, damaged), facts


def _repair(state: State, bench: Bench) -> tuple[State, Facts]:
    damaged = state.damaged
    if damaged is None or not damaged.any():
        return state, {}
    method = choose_method(damaged, bench.parameters.inpainting)
    small = shrunk(state.pixels, _REPAIRED_PIXELS)
    filled = fill(small, damaged, method)
    strength = bench.parameters.repair / 100
    pixels = _laid_over(state.pixels, filled, damaged, strength)
    return State(pixels, state.analysis, damaged), {"method": method.value, "strength": strength}


def _laid_over(pixels: Stored, filled: Pixels, damaged: Mask, strength: float) -> Stored:
    """Lay filled pixels, which may be smaller, over the photo where it is damaged."""
    result = pixels.copy()
    height, width, channels = pixels.shape
    rows, scale = max(1, 2_000_000 // width), damaged.shape[0] / height
    opaque = damaged.astype(np.float32)
    for top in range(0, height, rows):
        band = result[top : top + rows]
        part = _resampled(opaque, top, band.shape[0], width, scale)[..., np.newaxis] * np.float32(strength)
        if part.any():
            fresh = _resampled(filled, top, band.shape[0], width, scale).reshape(*band.shape[:2], channels)
            old = to_float(band)
            result[top : top + rows] = np.where(
                part > 0, to_stored(np.asarray(old + part * (fresh - old), np.float32)), band
            )
    return result


def _resampled(small: np.ndarray, top: int, rows: int, width: int, scale: float) -> np.ndarray:
    """Return rows of a smaller picture as they would be at full size."""
    if scale == 1:
        return small[top : top + rows]
    across = small.shape[1] / width
    matrix = np.array([[across, 0, (across - 1) / 2], [0, scale, (top + 0.5) * scale - 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(small, matrix, (width, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _denoise(state: State, bench: Bench) -> tuple[State, Facts]:
    if min(state.pixels.shape[:2]) < SMALLEST_SIDE:
        return state, {}
    profile = measure_noise(windows(state.pixels))
    strength = bench.parameters.denoise / 100
    facts: Facts = {"sigma": round(profile.sigma * 255, 2), "strength": strength}
    if profile.negligible:
        return state, facts
    pixels = bench.tiled(state.pixels, lambda tile: remove_noise(tile, profile, strength), overlap=16)
    return State(pixels, state.analysis, state.damaged), facts


def _tone(state: State, bench: Bench) -> tuple[State, Facts]:
    small = shrunk(state.pixels, ANALYSED_PIXELS)
    tone = measure_tone(small, _mask_of_size(state.damaged, small))
    strength = bench.parameters.tone / 100
    facts: Facts = {"strength": strength, "evidence": round(tone.evidence, 3)}
    names = ("Grey",) if len(tone.black) == 1 else ("Red", "Green", "Blue")
    for name, black, white in zip(names, tone.black, tone.white, strict=True):
        facts |= {f"black{name}": round(black, 3), f"white{name}": round(white, 3)}
    if tone.evidence <= 0:
        return state, facts
    pixels = bench.tiled(state.pixels, lambda tile: recover_tone(tile, tone, strength), overlap=0)
    return State(pixels, state.analysis, state.damaged), facts


def _mask_of_size(damaged: Mask | None, small: Pixels) -> Mask | None:
    if damaged is None:
        return None
    size = (small.shape[1], small.shape[0])
    return np.asarray(cv2.resize(damaged.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0, np.bool_)


def _scale(state: State, bench: Bench) -> tuple[State, Facts]:
    height, width, channels = state.pixels.shape
    size = output_size(width, height, bench.parameters.max_megapixels)
    if size == (width, height):
        return state, {}
    smaller = cv2.resize(state.pixels, size, interpolation=cv2.INTER_AREA)
    pixels = np.asarray(smaller, np.uint16).reshape(size[1], size[0], channels)
    return State(pixels, state.analysis, state.damaged), {"width": size[0], "height": size[1]}


def _sharpen(state: State, bench: Bench) -> tuple[State, Facts]:
    softness = float(np.median([measure_softness(window) for window in windows(state.pixels)]))
    strength = bench.parameters.sharpen / 100
    facts: Facts = {"strength": strength, "softness": round(softness, 3)}
    if softness <= 0:
        return state, facts
    pixels = bench.tiled(state.pixels, lambda tile: sharpen(tile, strength * softness), overlap=16)
    return State(pixels, state.analysis, state.damaged), facts


def _wants_grey(parameters: RestoreParameters) -> bool:
    # Without tone recovery nobody asked for the tint of a print to go.
    return parameters.color_mode is ColorMode.GRAYSCALE or (
        parameters.color_mode is ColorMode.AUTO and parameters.tone > 0
    )


STEPS = (
    Step("grey", 2, _wants_grey, _grey),
    Step("find-damage", 18, lambda parameters: parameters.repair > 0, _find),
    Step("repair", 14, lambda parameters: parameters.repair > 0, _repair),
    Step("denoise", 40, lambda parameters: parameters.denoise > 0, _denoise),
    Step("tone", 6, lambda parameters: parameters.tone > 0, _tone),
    Step("scale", 1, lambda parameters: parameters.max_megapixels is not None, _scale),
    Step("sharpen", 8, lambda parameters: parameters.sharpen > 0, _sharpen),
)
"""The pipeline. Repair comes first, since marks spoil what later steps measure; sharpening works at the final size."""
