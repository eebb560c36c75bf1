"""What the steps of a pipeline share: the photo between two steps, its tiles, and the form of a step."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from rekindle_crds import RestoreParameters
from rekindle_worker.photo import Mask, Pixels, Stored, to_float, to_stored
from rekindle_worker.steps.analysis import Analysis
from rekindle_worker.tiles import Tile, run_tiles, tile_grid

_TILE = 768
_WINDOW = 256
_WINDOWS_A_SIDE = 4

Facts = dict[str, float | int | str | bool]
"""What a step asked for, estimated or derived; it goes into the record."""


@dataclass(frozen=True, slots=True)
class State:
    """The photo between two steps, and what the steps before have learnt."""

    pixels: Stored
    analysis: Analysis
    damaged: Mask | None = None
    """Damage, at the size of the photo or smaller; None before it was looked for."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a step works with besides the photo."""

    parameters: RestoreParameters
    threads: int
    on_progress: Callable[[float], None]

    def tiled(self, pixels: Stored, work: Callable[[Pixels], Pixels], *, overlap: int, channels: int = 0) -> Stored:
        """Apply a function on pixels to overlapping tiles and return the new photo.

        Args:
            pixels: The photo.
            work: Gets a tile with its context, and returns as many pixels.
            overlap: How far the function looks, in pixels.
            channels: Channels that the function returns, if they change.
        """
        height, width = pixels.shape[:2]
        result = np.empty((height, width, channels or pixels.shape[2]), np.uint16)

        def one(tile: Tile) -> None:
            result[tile.inner] = to_stored(work(to_float(pixels[tile.outer]))[tile.crop])

        tiles = tile_grid(height, width, size=_TILE, overlap=overlap)
        run_tiles(tiles, one, threads=self.threads, on_progress=self.on_progress)
        return result


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a pipeline."""

    name: str
    share: float
    """Usual share of the time."""
    wanted: Callable[[RestoreParameters], bool]
    """Whether the parameters leave the step on."""
    run: Callable[[State, Bench], tuple[State, Facts]]
    """Do it. A step that finds nothing to do returns the state that it got, and why."""


def windows(pixels: Stored) -> list[Pixels]:
    """Return parts of the photo at full size, spread evenly, about a megapixel in all; a small photo comes whole."""
    height, width = pixels.shape[:2]
    most = _WINDOW * _WINDOWS_A_SIDE
    if height <= most and width <= most:
        return [to_float(pixels)]
    tops = np.linspace(0, max(0, height - _WINDOW), _WINDOWS_A_SIDE).astype(int)
    lefts = np.linspace(0, max(0, width - _WINDOW), _WINDOWS_A_SIDE).astype(int)
    return [
        to_float(pixels[top : top + _WINDOW, left : left + _WINDOW])
        for top in np.unique(tops)
        for left in np.unique(lefts)
    ]


def shrunk(pixels: Stored, most_pixels: int) -> Pixels:
    """Return the photo as floats, averaged down to at most so many pixels."""
    height, width, channels = pixels.shape
    factor = (most_pixels / (height * width)) ** 0.5
    if factor >= 1:
        return to_float(pixels)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    smaller = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return to_float(np.asarray(smaller, np.uint16).reshape(size[1], size[0], channels))
