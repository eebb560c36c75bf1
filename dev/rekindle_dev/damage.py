"""Seeded damage for clean photos: scratches, dust, hairs, fading, a colour cast, grain, blur and JPEG artefacts.

The order is that of a print: it fades and turns its hue, gets scratched, and is then scanned and compressed.
Sizes follow the photo, so that one recipe damages a thumbnail and a 24-megapixel scan alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Plane = NDArray[np.float32]
_Draw = Callable[[NDArray[np.uint8], np.random.Generator, float], None]

# Where a faded dye print ends up: the cyan dye goes first, so shadows turn red and whites yellow.
_FADED_BLACK = np.array([92, 70, 62], np.float32)
_FADED_WHITE = np.array([232, 220, 186], np.float32)


class Level(StrEnum):
    """How badly a photo is damaged."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How much of each kind of damage is done; everything left out is not done.

    Lengths are in pixels of a photo whose shorter side has 512 pixels, and grow with the photo.
    """

    scratches: int = 0
    """Number of scratches; two thirds are bright, where the emulsion is gone, one third dark."""
    dust: int = 0
    """Number of specks, up to three pixels wide."""
    hairs: int = 0
    """Number of thin curled fibres that lay on the scanner."""
    fade: float = 0.0
    """How far black and white have moved towards each other, from 0 to 1."""
    cast: float = 0.0
    """How far the hue has turned, from 0 to 1; without fade it does nothing."""
    noise: float = 0.0
    """Standard deviation of the grain, on the scale of 0 to 255."""
    blur: float = 0.0
    """Standard deviation of the blur."""
    jpeg: int | None = None
    """Quality of the JPEG compression."""
    monochrome: bool = False
    """Whether the photo becomes a black-and-white print first; a cast then tones it evenly."""


RECIPES: Mapping[Level, Recipe] = MappingProxyType(
    {
        Level.LIGHT: Recipe(scratches=5, dust=25, hairs=1, fade=0.2, cast=0.3, noise=4, blur=0.3, jpeg=92),
        Level.MEDIUM: Recipe(scratches=14, dust=70, hairs=4, fade=0.45, cast=0.6, noise=8, blur=0.6, jpeg=85),
        Level.HEAVY: Recipe(scratches=30, dust=160, hairs=8, fade=0.65, cast=0.9, noise=14, blur=0.9, jpeg=70),
    }
)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged photo, and where scratches, dust and hairs lie on it."""

    photo: Photo
    mask: Mask


def damage(photo: Photo, recipe: Recipe | Level, seed: int) -> Damaged:
    """Damage a photo; the same seed does the same damage.

    Args:
        photo: uint8, H x W x 3, sRGB. It is not changed.
        recipe: What to do, or a level that stands for a recipe of `RECIPES`.
        seed: Seed of the random generator.
    """
    wanted = RECIPES[recipe] if isinstance(recipe, Level) else recipe
    random = np.random.default_rng(seed)
    scale = min(photo.shape[:2]) / 512
    work = photo.astype(np.float32)
    if wanted.monochrome:
        work = np.repeat((work @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, axis=2)
    work = _fade(work, wanted.fade, wanted.cast)
    work, mask = _mark(work, wanted, random, scale)
    if wanted.blur > 0:
        work = np.asarray(cv2.GaussianBlur(work, (0, 0), max(0.1, wanted.blur * scale)), np.float32)
    if wanted.noise > 0:
        work = work + _grain(work, random, scale) * wanted.noise
    damaged = np.clip(np.rint(work), 0, 255).astype(np.uint8)
    if wanted.jpeg is not None:
        _, data = cv2.imencode(".jpg", damaged[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, wanted.jpeg])
        damaged = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return Damaged(photo=damaged, mask=mask)


def _fade(work: _Plane, fade: float, cast: float) -> _Plane:
    black = fade * (cast * _FADED_BLACK + (1 - cast) * _FADED_BLACK.mean())
    white = 255 - fade * (255 - (cast * _FADED_WHITE + (1 - cast) * _FADED_WHITE.mean()))
    return np.asarray(black + work / 255 * (white - black), np.float32)


def _mark(work: _Plane, recipe: Recipe, random: np.random.Generator, scale: float) -> tuple[_Plane, Mask]:
    """Draw scratches, specks and hairs on the print, in place; return it with where they are plainly visible."""
    mask = np.zeros(work.shape[:2], bool)
    kinds: tuple[tuple[int, _Draw, float], ...] = (
        (recipe.scratches, _scratch, 2 / 3),
        (recipe.dust, _speck, 0.6),
        (recipe.hairs, _hair, 0.3),
    )
    for count, draw, bright_share in kinds:
        for _ in range(count):
            layer = np.zeros(work.shape[:2], np.uint8)
            draw(layer, random, scale)
            left, top, width, height = cv2.boundingRect(layer)
            spot = np.s_[top : top + height, left : left + width]
            opacity = layer[spot].astype(np.float32) / 255 * random.uniform(0.7, 1.0)
            bright = random.random() < bright_share
            tint = random.uniform(215, 255) * random.uniform(0.95, 1.0, 3) if bright else random.uniform(0, 45, 3)
            work[spot] += opacity[..., None] * (tint.astype(np.float32) - work[spot])
            mask[spot] |= opacity > 0.2
    return work, mask


def _polyline(layer: NDArray[np.uint8], points: NDArray[np.float64], width: int, strength: int) -> None:
    # Four fractional bits give lines that start and end between pixels.
    fixed = np.rint(points * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(layer, [fixed], isClosed=False, color=strength, thickness=width, lineType=cv2.LINE_AA, shift=4)


def _scratch(layer: NDArray[np.uint8], random: np.random.Generator, scale: float) -> None:
    """A long, nearly straight line that wavers, changes its width and skips."""
    height, width = layer.shape
    start = random.uniform((0, 0), (width, height))
    # Film and prints are scratched mostly along their transport, so most scratches are steep.
    angle = random.normal(np.pi / 2, 0.25) if random.random() < 0.6 else random.uniform(0, np.pi)
    length = random.uniform(0.15, 0.9) * max(height, width)
    steps = max(8, int(length / (12 * scale)))
    along = np.linspace(0, length, steps)
    waver = np.cumsum(random.normal(0, 0.5 * scale, steps))
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    points = start + along[:, None] * direction + waver[:, None] * across
    thickness = random.choice([1, 1, 1, 2, 3]) * scale
    for first in range(0, steps - 1, 4):
        if random.random() < 0.1:
            continue
        segment = max(1, round(thickness * random.uniform(0.7, 1.3)))
        _polyline(layer, points[first : first + 5], segment, int(random.integers(170, 256)))


def _speck(layer: NDArray[np.uint8], random: np.random.Generator, scale: float) -> None:
    """A small irregular blot."""
    height, width = layer.shape
    centre = random.uniform((0, 0), (width, height))
    radius = random.uniform(0.5, 1.6) * scale
    turns = np.sort(random.uniform(0, 2 * np.pi, 7))
    reach = radius * random.uniform(0.6, 1.3, 7)
    points = centre + np.stack([np.cos(turns), np.sin(turns)], axis=1) * reach[:, None]
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.fillPoly(layer, [fixed], int(random.integers(200, 256)), lineType=cv2.LINE_AA, shift=4)


def _hair(layer: NDArray[np.uint8], random: np.random.Generator, scale: float) -> None:
    """A thin line that curls smoothly."""
    height, width = layer.shape
    steps = 24
    heading = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(random.uniform(-0.08, 0.08), 0.08, steps))
    stride = random.uniform(1.5, 5) * scale
    points = random.uniform((0, 0), (width, height)) + np.cumsum(
        np.stack([np.cos(heading), np.sin(heading)], axis=1) * stride, axis=0
    )
    _polyline(layer, points, max(1, round(scale)), int(random.integers(190, 256)))


def _grain(work: _Plane, random: np.random.Generator, scale: float) -> _Plane:
    """Noise of unit deviation, half of it common to all channels, and a little coarser than a pixel on large scans."""
    height, width = work.shape[:2]
    common = random.standard_normal((height, width, 1), np.float32)
    own = random.standard_normal((height, width, 3), np.float32)
    grain = (common + own) / np.float32(np.sqrt(2))
    if scale > 1.5:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), min(1.0, 0.3 * scale)), np.float32)
        grain /= grain.std()
    return grain
