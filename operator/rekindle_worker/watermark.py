"""A watermark: a text woven across the whole picture, and set once more, bolder, in its lower right corner.

White letters with a dark rim are seen on light and on dark alike. The weave repeats so often that every part worth
cutting out shows it, and it grows with the picture: a preview looks like the full result.
"""

import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from rekindle_crds import StepRecord
from rekindle_worker.photo import Photo
from rekindle_worker.progress import Report
from rekindle_worker.tiles import Tile, Window, run_tiles, tile_grid

Shares = NDArray[np.float32]
"""H x W in [0, 1]."""

STAGE = "watermark"
_ANGLE = 30.0
"""Degrees by which the weave rises."""
_WEAVE_LETTER, _WEAVE_LONGEST = 1 / 19, 0.4
"""Size of the letters, and length that the text may have: shares of the picture's shorter side."""
_CORNER_LETTER, _CORNER_LONGEST = 1 / 17, 0.5
_WEAVE_INK, _WEAVE_RIM = 0.28, 0.2
"""How much of the picture letters and rims hide."""
_CORNER_INK, _CORNER_RIM = 0.85, 0.5
_LEAST_POINTS = 6.0
_TILE = 1024
_FULL = 65535


class Watermark:
    """The watermark of pictures of one size. What it keeps is one period of the weave, whatever their size."""

    def __init__(self, text: str, width: int, height: int) -> None:
        shorter = min(width, height)
        self._weave = _weave(_letters(text, shorter, _WEAVE_LETTER, _WEAVE_LONGEST))
        self._corner = _corner(_letters(text, shorter, _CORNER_LETTER, _CORNER_LONGEST))[:height, :width]
        gap = shorter // 40
        self._top = max(0, height - self._corner.shape[0] - gap)
        self._left = max(0, width - self._corner.shape[1] - gap)

    def over(self, window: Window) -> tuple[Shares, Shares]:
        """Return what lies over a part of the picture: its pixels in [0, 1] become `pixel * keep + add`."""
        rows, columns = (np.arange(side.start, side.stop) for side in window)
        weave = self._weave[np.ix_(rows % self._weave.shape[0], columns % self._weave.shape[1])]
        keep, add = weave[..., 0], weave[..., 1]
        down, shown_rows = _common(rows, self._top, self._corner.shape[0])
        across, shown_columns = _common(columns, self._left, self._corner.shape[1])
        corner = self._corner[shown_rows, shown_columns]
        keep[down, across] *= corner[..., 0]
        add[down, across] = add[down, across] * corner[..., 0] + corner[..., 1]
        return keep, add


def record(text: str, started: float) -> StepRecord:
    """Return the record of this step, which began at a time of the monotonic clock."""
    milliseconds = round((time.monotonic() - started) * 1000)
    return StepRecord(name=STAGE, applied=True, parameters={"text": text}, milliseconds=milliseconds)


def watermarked(photo: Photo, text: str, *, threads: int, report: Report) -> Photo:
    """Return a copy of a photo under a watermark, made tile by tile."""
    mark = Watermark(text, photo.width, photo.height)
    pixels = np.empty_like(photo.pixels)

    def one(tile: Tile) -> None:
        keep, add = mark.over(tile.inner)
        lit = photo.pixels[tile.inner] * keep[..., np.newaxis] + add[..., np.newaxis] * _FULL
        pixels[tile.inner] = np.rint(lit, out=lit).clip(0, _FULL)

    tiles = tile_grid(photo.height, photo.width, size=_TILE, overlap=0)
    run_tiles(tiles, one, threads=threads, on_progress=lambda share: report(STAGE, share))
    return Photo(pixels, photo.bits)


def _common(positions: NDArray[np.intp], start: int, length: int) -> tuple[slice, slice]:
    """Return where positions in a row and `length` others from `start` overlap: as parts of the one and the other."""
    first = max(int(positions[0]), start)
    end = max(first, min(int(positions[-1]) + 1, start + length))
    return slice(first - int(positions[0]), end - int(positions[0])), slice(first - start, end - start)


def _letters(text: str, shorter: int, letter: float, longest: float) -> Image.Image:
    """Return the text as a grey picture, as large as it may be in a picture whose shorter side is given."""
    points = max(_LEAST_POINTS, shorter * letter)
    length = ImageFont.load_default(points).getlength(text)
    font = ImageFont.load_default(max(_LEAST_POINTS, min(points, points * longest * shorter / length)))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    letters = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(letters).text((-left, -top), text, fill=255, font=font)
    return letters


def _weave(letters: Image.Image) -> Shares:
    """Return one period of the weave: two rows of the text, one shifted by half."""
    turned = letters.rotate(_ANGLE, Image.Resampling.BICUBIC, expand=True)
    width, height = round(turned.width * 1.35), round(turned.height * 2.5)
    one = Image.new("L", (width, height))
    one.paste(turned)
    both = ImageChops.lighter(one, ImageChops.offset(one, width // 2, height // 2))
    return _ink(both, letters.height, _WEAVE_INK, _WEAVE_RIM, wrap=True)


def _corner(letters: Image.Image) -> Shares:
    return _ink(letters, letters.height, _CORNER_INK, _CORNER_RIM, wrap=False)


def _ink(letters: Image.Image, size: int, ink: float, rim: float, *, wrap: bool) -> Shares:
    """Return H x W x 2: what letters of some size with a soft dark rim keep of the picture below, and what they add."""
    soft = max(0.8, size / 14)
    margin = int(3 * soft) + 1
    padded = np.pad(np.asarray(letters), margin, mode="wrap" if wrap else "constant")
    blurred = Image.fromarray(padded).filter(ImageFilter.GaussianBlur(soft))
    white, dark = padded.astype(np.float32) / 255, np.asarray(blurred, np.float32) / 255
    add = ink * white
    keep = (1 - rim * np.minimum(1, 2.5 * dark)) * (1 - add)
    both = np.stack([keep, add], axis=2).astype(np.float32)
    return both[margin:-margin, margin:-margin] if wrap else both
