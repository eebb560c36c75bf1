"""The demo's photo, damaged on purpose, and the picture that shows it beside what became of it."""

import io
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from rekindle_dev.damage import Level, damage

_SEED = 1969
_SIDE = 1024
_MAX_HEIGHT = 900
_GAP = 12


def demo_photo() -> bytes:
    """Return a damaged portrait as JPEG.

    The portrait is NASA's of Eileen Collins, in the public domain; scikit-image carries it in its wheel.
    """
    with Image.open(Path(skimage.data.__file__).with_name("astronaut.png")) as portrait:
        clean = portrait.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    damaged = damage(np.asarray(clean), Level.MEDIUM, _SEED).photo
    stream = io.BytesIO()
    Image.fromarray(damaged).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def save_before_after(before: Path, after: Path, picture: Path) -> None:
    """Write a JPEG with two photos side by side, the first on the left, at most 900 pixels high."""
    register_heif_opener()
    left, right = (_open(path) for path in (before, after))
    height = min(_MAX_HEIGHT, left.height, right.height)
    photos = [each.resize((round(each.width * height / each.height), height)) for each in (left, right)]
    canvas = Image.new("RGB", (sum(photo.width for photo in photos) + _GAP, height), "white")
    canvas.paste(photos[0], (0, 0))
    canvas.paste(photos[1], (photos[0].width + _GAP, 0))
    canvas.save(picture, "JPEG", quality=90)


def _open(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return ImageOps.exif_transpose(photo).convert("RGB")
