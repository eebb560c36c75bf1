"""The program that decodes one untrusted photo, in a process of its own with little memory, time and no secrets.

Reads the photo from standard input, which must be a file. Writes one line of JSON with width and height, then the
thumbnail as WebP. Run as `python -I -m rekindle_api.photos.inspection MEDIA_TYPE LIMITS`.
"""

import io
import json
import os
import resource
import sys
from typing import cast

from PIL import Image, ImageCms

from rekindle_api.photos.formats import EXIT_TOO_LARGE, EXIT_UNREADABLE

THUMBNAIL_PIXELS = 512
_PILLOW_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/tiff": "TIFF",
    "image/heic": "HEIF",
    "image/avif": "AVIF",
}
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def main(media_type: str, limits: dict[str, int]) -> int:
    """Inspect standard input; return the exit status."""
    _restrict(limits)
    if media_type == "image/heic":
        import pillow_heif  # noqa: PLC0415 - a large library that most photos do not need

        pillow_heif.register_heif_opener()
    # Our own limit, below, holds before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(sys.stdin.buffer, formats=[_PILLOW_FORMATS[media_type]]) as image:
            if image.width * image.height > limits["pixels"]:
                return EXIT_TOO_LARGE
            orientation = image.getexif().get(_ORIENTATION, 1)
            width, height = image.size[::-1] if orientation in _SIDEWAYS else image.size
            thumbnail = _thumbnail(image, orientation)
    except MemoryError:
        return EXIT_TOO_LARGE
    except Exception as error:  # noqa: BLE001 - the decoders raise anything for a damaged file
        sys.stderr.write(f"{type(error).__name__}\n")
        return EXIT_UNREADABLE
    sys.stdout.buffer.write(json.dumps({"width": width, "height": height}).encode() + b"\n" + thumbnail)
    sys.stdout.buffer.flush()
    return 0


def _restrict(limits: dict[str, int]) -> None:
    """Give up what decoding does not need: memory, time, core dumps, writing files, and priority."""
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["seconds"], limits["seconds"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(5)


def _thumbnail(image: Image.Image, orientation: int) -> bytes:
    """Return a small WebP with the pixels only: upright, in sRGB, without transparency and metadata."""
    profile = image.info.get("icc_profile")
    # For JPEG, decodes at a fraction of the size; every byte is still read.
    image.draft(None, (2 * THUMBNAIL_PIXELS, 2 * THUMBNAIL_PIXELS))
    image.load()
    small = _eight_bits(image)
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), reducing_gap=2.0)
    small = _srgb(small, profile)
    if (turn := _UPRIGHT.get(orientation)) is not None:
        small = small.transpose(turn)
    clean = Image.new("RGB", small.size, "white")
    clean.paste(small.convert("RGB"), mask=small.getchannel("A") if "A" in small.getbands() else None)
    target = io.BytesIO()
    clean.save(target, "WEBP", quality=80)
    return target.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in a mode that resizes well; 16-bit and float samples are scaled to 8 bits."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode == "F":
        low, high = cast("tuple[float, float]", image.getextrema())
        span = (high - low) or 1.0
        return image.point(lambda value: (value - low) * (255.0 / span)).convert("L")
    if image.mode in {"P", "PA"}:
        return image.convert("RGBA")
    return image.convert("L") if image.mode == "1" else image


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile or image.mode not in {"RGB", "CMYK", "L"}:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
