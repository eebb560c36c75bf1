"""PNG and TIFF files with 16 bits a channel, which Pillow would cut to 8 when they are in colour."""

from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image

from rekindle_worker.imaging.profiles import deep_to_srgb
from rekindle_worker.imaging.sniff import SourceFormat
from rekindle_worker.photo import Stored

_BITS_PER_SAMPLE = 258
_PNG_DEPTH_OFFSET = 24
_WHITE = 65535


def is_deep(path: Path, image: Image.Image, known: SourceFormat) -> bool:
    """Return whether a file that Pillow has opened, but not loaded, holds 16 bits a channel."""
    if known is SourceFormat.PNG:
        with path.open("rb") as file:
            # IHDR is the first chunk of every PNG: width, height, then the bit depth.
            return file.read(_PNG_DEPTH_OFFSET + 1)[_PNG_DEPTH_OFFSET] == 16
    if known is SourceFormat.TIFF:
        depths = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,))
        # Sixteen-bit CMYK is rare; Pillow reads it at 8 bits and with its profile, which is worth more.
        return set(depths) == {16} and image.mode != "CMYK"
    return False


def read_deep(path: Path, image: Image.Image) -> tuple[Stored, tuple[str, ...]]:
    """Decode such a file with OpenCV, turn it upright and apply its alpha and profile.

    Raises:
        ValueError: OpenCV can't read it, or sees another image than Pillow.
    """
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image.format == "TIFF" and orientation != 1:
        raw = cv2.imdecode(_without_orientation(path), cv2.IMREAD_UNCHANGED)
    else:
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    # Pillow gives the size of a TIFF as it is upright.
    if raw is None or raw.dtype != np.uint16 or sorted(raw.shape[:2]) != sorted(image.size):
        raise ValueError("the 16-bit pixels can't be read")
    profile = image.info.get("icc_profile")
    opaque = _opaque(raw.astype(np.uint16, copy=False).reshape(raw.shape[0], raw.shape[1], -1))
    converted, notes = deep_to_srgb(opaque, profile)
    return _turn(converted, orientation), notes


def _without_orientation(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of a TIFF whose first page claims to be upright: OpenCV fails on some orientations."""
    data = np.fromfile(path, np.uint8)
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags.get(ExifTags.Base.Orientation)
        if tag is not None:
            data[tag.valueoffset : tag.valueoffset + 2] = np.array([1], f"{file.byteorder}u2").view(np.uint8)
    return data


def _opaque(raw: NDArray[np.uint16]) -> Stored:
    """Return grey or RGB pixels from OpenCV's grey, BGR or BGRA, laid on white paper where they are transparent."""
    channels = raw.shape[2]
    if channels == 1:
        return raw
    if channels == 3:
        return raw[..., ::-1]
    if channels != 4:
        raise ValueError(f"{channels} channels are not supported")
    alpha = raw[..., 3:].astype(np.float32) / _WHITE
    colour = raw[..., 2::-1].astype(np.float32)
    return np.rint(colour * alpha + _WHITE * (1 - alpha)).astype(np.uint16)


def _turn(pixels: Stored, orientation: int) -> Stored:
    """Apply an EXIF orientation."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels
