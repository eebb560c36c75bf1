"""Bounded decoding of a stranger's file: one upright, opaque sRGB photo of 8 or 16 bits, or a clear refusal.

Size is checked against the limits before a pixel is decoded. Only the first frame of a file with several is read.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps

from rekindle_crds import ExitCode
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.deep import is_deep, read_deep
from rekindle_worker.imaging.heif import exif_orientation_counts, turn_upright
from rekindle_worker.imaging.profiles import to_srgb
from rekindle_worker.imaging.sniff import HEAD_BYTES, SourceFormat, sniff
from rekindle_worker.photo import Photo, Stored, from_bytes

pillow_heif.register_heif_opener()
# Our own limit, checked right after opening, takes the place of Pillow's.
Image.MAX_IMAGE_PIXELS = None

# What Pillow, its plugins, libheif and OpenCV raise on files that are damaged or made to hurt.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    RuntimeError,
    struct.error,
    zlib.error,
    cv2.error,
)
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})
"""Values of EXIF's orientation that swap width and height."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may have at most."""

    pixels: int = 100_000_000
    """Width times height, times the frames that a decoder unpacks together."""
    bytes: int = 256 * 1024 * 1024
    """Size of the file."""


def read_photo(path: Path, limits: Limits, *, enough: tuple[int, int] | None = None) -> Photo:
    """Decode a file.

    Args:
        path: The file.
        limits: What it may have at most.
        enough: Lengths of the shorter and the longer side that suffice: a photo with more than twice of one of them
            is reduced by a whole factor, as early as its format allows.

    Raises:
        WorkFailed: `UnreadableImage` for no known format or a damaged file; `ImageTooLarge` beyond the limits.
    """
    size = path.stat().st_size
    if size > limits.bytes:
        raise WorkFailed(
            ExitCode.IMAGE_TOO_LARGE, f"the file has {size} bytes; at most {limits.bytes} bytes are accepted"
        )
    with path.open("rb") as file:
        known = sniff(file.read(HEAD_BYTES))
    if known is None:
        what = "is empty" if size == 0 else "is not a JPEG, PNG, WebP, TIFF, HEIC or AVIF image"
        raise WorkFailed(ExitCode.UNREADABLE_IMAGE, f"the file {what}")
    with _refusals(known), Image.open(path, formats=[known.value]) as image:
        _check_pixels(image, known, limits)
        return _photo(path, image, known, enough)


@contextmanager
def _refusals(known: SourceFormat) -> Iterator[None]:
    """Turn every complaint of a decoder into `UnreadableImage`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _DECODER_ERRORS as error:
        raise WorkFailed(
            ExitCode.UNREADABLE_IMAGE, f"the {known.value} file is damaged or incomplete: {_shorten(error)}"
        ) from error


def _shorten(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:120] if text else type(error).__name__


def _check_pixels(image: Image.Image, known: SourceFormat, limits: Limits) -> None:
    width, height = image.size
    # The pages of a TIFF are decoded one by one, and counting them would walk a list that a stranger wrote.
    frames = 1 if known is SourceFormat.TIFF else getattr(image, "n_frames", 1)
    if width * height * frames > limits.pixels:
        shape = f"{width} x {height} pixels" + (f" in {frames} frames" if frames > 1 else "")
        raise WorkFailed(
            ExitCode.IMAGE_TOO_LARGE,
            f"the image has {shape}; at most {limits.pixels / 1e6:g} megapixels are accepted",
        )


def _photo(path: Path, image: Image.Image, known: SourceFormat, enough: tuple[int, int] | None) -> Photo:
    if is_deep(path, image, known):
        pixels, notes = read_deep(path, image)
        size = (pixels.shape[1], pixels.shape[0])
        return Photo(np.ascontiguousarray(_reduced(pixels, enough)), 16, notes, size)
    drafted_from = _draft(image, known, enough)
    upright = _upright(path, image, known)
    size = drafted_from or upright.size
    opaque = _opaque(upright)
    opaque = opaque.reduce(_factor(opaque.size, enough))
    converted, notes = to_srgb(opaque, image.info.get("icc_profile"))
    stored = from_bytes(np.asarray(converted, np.uint8))
    return Photo(np.ascontiguousarray(stored if stored.ndim == 3 else stored[..., np.newaxis]), 8, notes, size)


def _factor(size: tuple[int, int], enough: tuple[int, int] | None) -> int:
    return max(1, min(size) // enough[0], max(size) // enough[1]) if enough else 1


def _draft(image: Image.Image, known: SourceFormat, enough: tuple[int, int] | None) -> tuple[int, int] | None:
    """Let a JPEG be decoded at a half, a quarter or an eighth; return its full size, upright."""
    if known is not SourceFormat.JPEG:
        return None
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    size = image.size[::-1] if orientation in _ON_ITS_SIDE else image.size
    factor = _factor(size, enough)
    if factor > 1:
        image.draft(None, (image.width // factor, image.height // factor))
    return size


def _reduced(pixels: Stored, enough: tuple[int, int] | None) -> Stored:
    height, width, channels = pixels.shape
    factor = _factor((width, height), enough)
    if factor == 1:
        return pixels
    size = (width // factor, height // factor)
    smaller = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint16).reshape(size[1], size[0], channels)


def _upright(path: Path, image: Image.Image, known: SourceFormat) -> Image.Image:
    image.load()
    if known is SourceFormat.HEIF:
        counts = exif_orientation_counts(path)
        return turn_upright(image, image.info.get("original_orientation")) if counts else image
    return ImageOps.exif_transpose(image)


def _opaque(image: Image.Image) -> Image.Image:
    """Return the image in mode L, RGB or CMYK, laid on white paper where it is transparent."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGB", layer.size, (255, 255, 255))
        paper.paste(layer, mask=layer.getchannel("A"))
        return paper.convert("L") if image.mode in {"L", "LA", "La"} else paper
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode in {"1", "LA", "La"} else "RGB")
