"""Writing results: pixels only, without metadata, in the format that was asked for, with a preview and a thumbnail."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rekindle_crds import ExitCode, Output, OutputName
from rekindle_crds.restore import ImageFormat
from rekindle_worker.failure import WorkFailed
from rekindle_worker.photo import Photo, to_bytes

PREVIEW_SIDE = 1600
THUMBNAIL_SIDE = 320
SUFFIXES = {ImageFormat.JPEG: "jpg", ImageFormat.PNG: "png", ImageFormat.WEBP: "webp"}
_LONGEST_SIDE = {ImageFormat.JPEG: 65_500, ImageFormat.PNG: 100_000, ImageFormat.WEBP: 16_383}
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """One output on the local disk."""

    name: OutputName
    path: Path
    sha256: str
    bytes: int
    width: int
    height: int
    milliseconds: int | None = None
    """Length of a video."""

    @property
    def media_type(self) -> str:
        """Media type by the suffix."""
        return _MEDIA_TYPES[self.path.suffix[1:]]

    def output(self, key: str) -> Output:
        """Return the record of this file once it is stored under `key`."""
        return Output(
            name=self.name,
            key=key,
            sha256=self.sha256,
            bytes=self.bytes,
            width=self.width,
            height=self.height,
            media_type=self.media_type,
            duration_milliseconds=self.milliseconds,
        )


def check_format(image_format: ImageFormat, width: int, height: int) -> None:
    """Refuse a size that the format can't hold, before any work is done.

    Raises:
        WorkFailed: `ImageTooLarge`.
    """
    longest = _LONGEST_SIDE[image_format]
    if max(width, height) > longest:
        raise WorkFailed(
            ExitCode.IMAGE_TOO_LARGE,
            f"a {image_format.value} image can't have a side over {longest} pixels; "
            f"ask for another format or a smaller maxMegapixels",
        )


def write_image(photo: Photo, path: Path, image_format: ImageFormat, quality: int) -> None:
    """Write the full-size result. A PNG keeps 16 bits a channel when the source had them."""
    if image_format is ImageFormat.PNG and photo.bits == 16:
        if not cv2.imwrite(str(path), _bgr(photo.pixels), [cv2.IMWRITE_PNG_COMPRESSION, 3]):
            raise OSError(f"can't write {path.name}")
        return
    image = _image(photo)
    if image_format is ImageFormat.JPEG:
        subsampling = 0 if quality >= 90 else 2
        image.save(path, "JPEG", quality=quality, subsampling=subsampling, optimize=False, progressive=True)
    elif image_format is ImageFormat.PNG:
        image.save(path, "PNG", compress_level=4)
    else:
        image.save(path, "WEBP", quality=quality, method=3)


def write_outputs(photo: Photo, folder: Path, image_format: ImageFormat, quality: int) -> tuple[EncodedFile, ...]:
    """Write result, preview and thumbnail into a folder and return what was written."""
    result = folder / f"result.{SUFFIXES[image_format]}"
    write_image(photo, result, image_format, quality)
    preview = _write_preview(photo, folder / "preview.webp")
    thumbnail = _shrunk(preview, THUMBNAIL_SIDE)
    thumbnail.save(folder / "thumbnail.webp", "WEBP", quality=80, method=4)
    return (
        describe(OutputName.RESULT, result, (photo.width, photo.height)),
        describe(OutputName.PREVIEW, folder / "preview.webp", preview.size),
        describe(OutputName.THUMBNAIL, folder / "thumbnail.webp", thumbnail.size),
    )


def write_watermarked(marked: Photo, folder: Path, image_format: ImageFormat, quality: int) -> tuple[EncodedFile, ...]:
    """Write what goes with the outputs when there is a watermark. A thumbnail is too small to be worth one."""
    result, preview = folder / f"watermarked-result.{SUFFIXES[image_format]}", folder / "watermarked-preview.webp"
    write_image(marked, result, image_format, quality)
    size = _write_preview(marked, preview).size
    return (
        describe(OutputName.WATERMARKED_RESULT, result, (marked.width, marked.height)),
        describe(OutputName.WATERMARKED_PREVIEW, preview, size),
    )


def describe(name: OutputName, path: Path, size: tuple[int, int], *, milliseconds: int | None = None) -> EncodedFile:
    """Return the record of a file that was written."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return EncodedFile(name, path, digest, path.stat().st_size, *size, milliseconds)


def _write_preview(photo: Photo, path: Path) -> Image.Image:
    preview = _shrunk(_image(photo), PREVIEW_SIDE)
    preview.save(path, "WEBP", quality=85, method=4)
    return preview


def _bgr(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.ascontiguousarray(pixels[..., ::-1])


def _image(photo: Photo) -> Image.Image:
    """Return a Pillow image made of nothing but pixels, so that no metadata can come along."""
    pixels = to_bytes(photo.pixels)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    factor = side / max(image.size)
    if factor >= 1:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
