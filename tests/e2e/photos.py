"""Photos to send the whole way."""

import io
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from rekindle_dev.damage import Level, damage


def clean_photo(side: int) -> np.ndarray:
    """Return a portrait as uint8, side x side x 3."""
    with Image.open(Path(skimage.data.__file__).with_name("astronaut.png")) as portrait:
        return np.asarray(portrait.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def damaged_photo(side: int = 512, *, seed: int = 1) -> bytes:
    """Return a damaged portrait as JPEG; each seed is another photo."""
    stream = io.BytesIO()
    Image.fromarray(damage(clean_photo(side), Level.MEDIUM, seed).photo).save(stream, "JPEG", quality=92)
    return stream.getvalue()
