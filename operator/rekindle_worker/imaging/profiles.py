"""Colour profiles: everything becomes sRGB, 8-bit pixels by littleCMS and 16-bit pixels by a table sampled from it."""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from rekindle_worker.photo import Stored

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_UNUSABLE = ("the embedded colour profile could not be used; sRGB was assumed",)
_MOST_PROFILE_BYTES = 8 * 1024 * 1024
# A divisor of 255, so that every node of the table is a whole 8-bit value and sampled exactly; fine enough to follow
# the kink where a wide gamut is clipped to that of sRGB.
_STEP = 3
_NODES = 255 // _STEP + 1


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert an image of mode L, RGB or CMYK to sRGB.

    Returns:
        The image in mode L (only if it came without a profile that needs more) or RGB, and warnings.
    """
    plain = image if image.mode in {"L", "RGB"} else image.convert("RGB")
    if not profile:
        return plain, ()
    try:
        source = _open(profile)
        if source is None:
            return plain, ()
        target = "L" if image.mode == "L" else "RGB"
        converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return plain, _UNUSABLE
    if converted is None:
        return plain, _UNUSABLE
    return converted.convert(target), ()


def deep_to_srgb(pixels: Stored, profile: bytes | None) -> tuple[Stored, tuple[str, ...]]:
    """Convert 16-bit pixels, H x W x 1 or 3, to sRGB without falling back to 8 bits."""
    if not profile:
        return pixels, ()
    try:
        source = _open(profile)
        if source is None:
            return pixels, ()
        if pixels.shape[2] == 1:
            return _apply_curve(pixels, source), ()
        return _apply_table(pixels, source), ()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return pixels, _UNUSABLE


def _open(profile: bytes) -> ImageCms.ImageCmsProfile | None:
    """Return the profile, or None when it is sRGB already and there is nothing to convert."""
    if len(profile) > _MOST_PROFILE_BYTES:
        raise ValueError("colour profile is too large")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return None if "srgb" in ImageCms.getProfileDescription(opened).lower() else opened


def _apply_curve(pixels: Stored, source: ImageCms.ImageCmsProfile) -> Stored:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    converted = ImageCms.profileToProfile(ramp, source, _SRGB, outputMode="RGB")
    if converted is None:
        raise ValueError("no transform")
    curve = np.asarray(converted.convert("L"), np.float32)[0] * 257
    smooth = cv2.GaussianBlur(curve[np.newaxis], (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101)[0]
    smooth[[0, -1]] = curve[[0, -1]]
    table = np.interp(np.arange(65536) / 257, np.arange(256), smooth)
    return np.asarray(np.rint(table).astype(np.uint16)[pixels], np.uint16)


def _apply_table(pixels: Stored, source: ImageCms.ImageCmsProfile) -> Stored:
    """Interpolate between the nodes of a cube; errors stay under one 8-bit step and vary smoothly, so nothing bands."""
    nodes = np.arange(0, 256, _STEP, dtype=np.uint8)
    cube = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(_NODES, -1, 3)
    sampled = ImageCms.profileToProfile(Image.fromarray(cube), source, _SRGB, outputMode="RGB")
    if sampled is None:
        raise ValueError("no transform")
    table = np.asarray(sampled, np.float32).reshape(_NODES, _NODES, _NODES, 3) * 257
    converted = np.empty_like(pixels)
    # Bands of rows keep the temporaries small whatever the photo's size.
    rows = max(1, 1_000_000 // max(1, pixels.shape[1]))
    for top in range(0, pixels.shape[0], rows):
        converted[top : top + rows] = _interpolate(pixels[top : top + rows], table)
    return converted


def _interpolate(band: Stored, table: NDArray[np.float32]) -> Stored:
    position = band.astype(np.float32) * np.float32(1 / (257 * _STEP))
    low = np.minimum(position.astype(np.int32), _NODES - 2)
    share = position - low
    total = np.zeros(band.shape, np.float32)
    for corner in range(8):
        high = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.where(high, share, 1 - share).prod(axis=-1, keepdims=True)
        index = low + high
        total += weight * table[index[..., 0], index[..., 1], index[..., 2]]
    return np.clip(np.rint(total), 0, 65535).astype(np.uint16)
