"""Makes the picture in the README: the photo of the demo beside what the worker really makes of it.

Run `python -m rekindle_dev.before_after [PATH]`; the same version makes the same picture. What is left of the
scratches is left in.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rekindle_crds import RestoreParameters
from rekindle_dev.pictures import demo_photo
from rekindle_worker.photo import Photo, from_bytes, to_bytes
from rekindle_worker.pipeline import restore

_WIDTH = 1400
_GAP = 12
_CAPTION = 44
_TEXT_SIZE = 22
_BYTES = 400_000


def main() -> int:
    """Write the picture and return the exit code."""
    parser = argparse.ArgumentParser(description="Make the before/after picture.")
    parser.add_argument("path", nargs="?", type=Path, default=Path("docs/images/before-after.jpg"))
    path: Path = parser.parse_args().path
    with Image.open(io.BytesIO(demo_photo())) as image:
        damaged = np.asarray(image.convert("RGB"), np.uint8)
    done = restore(Photo(from_bytes(damaged), 8), RestoreParameters(), threads=2, report=lambda *_: None)
    picture = side_by_side(damaged, to_bytes(done.photo.pixels))
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in (92, 88, 84, 80):
        picture.save(path, "JPEG", quality=quality, progressive=True)
        if path.stat().st_size <= _BYTES:
            break
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size} bytes")
    return 0


def side_by_side(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Image.Image:
    """Return both photos next to each other, each with a caption."""
    side = (_WIDTH - _GAP) // 2
    height = round(side * before.shape[0] / before.shape[1])
    canvas = Image.new("RGB", (_WIDTH, height + _CAPTION), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT_SIZE)
    for left, pixels, caption in (
        (0, before, "Before: a photo with synthetic damage"),
        (side + _GAP, after, "After: rekindle-worker restore"),
    ):
        shown = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
        canvas.paste(shown.resize((side, height), Image.Resampling.LANCZOS), (left, _CAPTION))
        draw.text((left + 4, 8), caption, fill=(40, 40, 40), font=font)
    return canvas


if __name__ == "__main__":
    raise SystemExit(main())
