"""Decoding of files from strangers: formats, orientation, colour, depth, and everything hostile."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps

from rekindle_crds import ExitCode
from rekindle_worker.failure import WorkFailed
from rekindle_worker.imaging.decode import Limits, read_photo
from rekindle_worker.imaging.sniff import sniff
from rekindle_worker.photo import to_bytes

LIMITS = Limits(pixels=2_000_000, bytes=5_000_000)
pillow_heif.register_heif_opener()


@pytest.fixture
def marked() -> Image.Image:
    """A photo whose corners tell which way is up: red, green, blue and white."""
    pixels = np.full((60, 100, 3), 128, np.uint8)
    for corner, colour in zip(
        (np.s_[:30, :50], np.s_[:30, 50:], np.s_[30:, :50], np.s_[30:, 50:]),
        ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)),
        strict=True,
    ):
        pixels[corner] = colour
    return Image.fromarray(pixels)


def corners(path: Path) -> list[tuple[int, ...]]:
    pixels = to_bytes(read_photo(path, LIMITS).pixels)
    spots = pixels[[5, 5, -6, -6], [5, -6, 5, -6]]
    return [tuple(int(value > 127) for value in spot) for spot in spots]


UPRIGHT = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_format_is_read_whatever_its_name_says(kind: str, marked: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    marked.save(path, kind)
    assert corners(path) == UPRIGHT
    assert sniff(path.read_bytes()[:256]) == kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_applied_in_every_format(
    kind: str, orientation: int, marked: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turn = {1: None, 3: 180, 6: 90, 8: 270}[orientation]
    stored = marked.rotate(turn, expand=True) if turn else marked
    path = tmp_path / "photo"
    stored.save(path, kind, exif=exif)
    assert corners(path) == UPRIGHT


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_agree_with_pillow(orientation: int, marked: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    marked.save(tmp_path / "photo.png", exif=exif)
    with Image.open(tmp_path / "photo.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(to_bytes(read_photo(tmp_path / "photo.png", LIMITS).pixels), expected)
    deep = np.asarray(marked, np.uint16) * 257
    write_deep_tiff(tmp_path / "photo.tif", deep, orientation)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    insert_chunk(tmp_path / "deep.png", b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    for name in ("photo.tif", "deep.png"):
        photo = read_photo(tmp_path / name, LIMITS)
        assert photo.bits == 16
        assert np.array_equal(to_bytes(photo.pixels), expected)


def insert_chunk(path: Path, kind: bytes, body: bytes) -> None:
    """Put a chunk behind the header of a PNG."""
    data = path.read_bytes()
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data[:33] + chunk + data[33:])


def write_deep_tiff(path: Path, pixels: np.ndarray, orientation: int = 1) -> None:
    """Write an uncompressed 16-bit RGB TIFF by hand: no library here writes one with an orientation."""
    height, width, channels = pixels.shape
    data = pixels.astype("<u2").tobytes()
    after = 8 + len(data)
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, after),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (274, 3, 1, orientation),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    folder = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0" * 4
    path.write_bytes(b"II*\0" + struct.pack("<I", after + 6) + data + struct.pack("<HHH", 16, 16, 16) + folder)


def test_in_heif_the_containers_own_rotation_wins(marked: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    stored = marked.rotate(90, expand=True)
    stored.info["exif"] = exif.tobytes()
    stored.save(path, "HEIF")
    data = path.read_bytes()
    assert b"irot" in data
    tag = struct.pack(">HHIH", ExifTags.Base.Orientation, 3, 1, 6)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, tag[:-1] + b"\x03"))
    assert corners(path) == UPRIGHT


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_kept(suffix: str, channels: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 200 * 50).reshape(50, 200).astype(np.uint16)
    pixels = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1)[..., :channels]
    path = tmp_path / f"photo.{suffix}"
    cv2.imwrite(str(path), pixels[..., ::-1])
    photo = read_photo(path, LIMITS)
    assert photo.bits == 16
    assert np.array_equal(photo.pixels, pixels)


def test_sixteen_bit_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((10, 10, 4), np.uint16)
    pixels[:5, :, 3] = 65535
    cv2.imwrite(str(tmp_path / "photo.png"), pixels)
    photo = read_photo(tmp_path / "photo.png", LIMITS)
    assert photo.pixels[0].max() == 0
    assert photo.pixels[-1].min() == 65535


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_becomes_grey_or_colour(mode: str, marked: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    image = marked.convert("L").convert("I;16") if mode == "I;16" else marked.convert(mode)
    if mode == "PA":
        path = tmp_path / "photo.png"
        image = marked.convert("P")
        image.info["transparency"] = 0
    if mode == "LA":
        path = tmp_path / "photo.png"
    image.save(path)
    photo = read_photo(path, LIMITS)
    assert photo.pixels.shape[:2] == (60, 100)
    assert photo.pixels.shape[2] == (1 if mode in {"1", "L", "LA", "I;16"} else 3)
    assert photo.pixels.dtype == np.uint16


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "photo.webp", lossless=True, exact=True)
    assert read_photo(tmp_path / "photo.webp", LIMITS).pixels.min() == 65535


def test_only_the_first_frame_is_read(marked: Image.Image, tmp_path: Path) -> None:
    other = Image.new("RGB", marked.size)
    for kind in ("WEBP", "TIFF", "PNG", "AVIF"):
        marked.save(tmp_path / kind, kind, save_all=True, append_images=[other, other])
        assert corners(tmp_path / kind) == UPRIGHT


def wide_gamut_profile() -> bytes:
    """Build a matrix profile with the primaries of Adobe RGB (1998) from littleCMS' own sRGB profile."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    primaries = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
    }
    for index in range(count):
        name, offset, _ = struct.unpack(">4sII", profile[132 + 12 * index : 144 + 12 * index])
        if name in primaries:
            profile[offset + 8 : offset + 20] = struct.pack(">3i", *(round(v * 65536) for v in primaries[name]))
        if name == b"desc":
            # Renamed, or it would be taken for sRGB itself.
            text = profile[offset:].find("s".encode("utf-16-be"))
            profile[offset + text + 1] = ord("x")
    return bytes(profile)


def test_a_colour_profile_is_applied_alike_at_eight_and_sixteen_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    pixels = cv2.resize(random.integers(40, 215, (6, 6, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
    profile = wide_gamut_profile()
    Image.fromarray(pixels).save(tmp_path / "eight.png", icc_profile=profile)
    shallow = read_photo(tmp_path / "eight.png", LIMITS)
    cv2.imwrite(str(tmp_path / "deep.png"), pixels[..., ::-1].astype(np.uint16) * 257)
    insert_chunk(tmp_path / "deep.png", b"iCCP", b"wide\0\0" + zlib.compress(profile))
    deep = read_photo(tmp_path / "deep.png", LIMITS)
    assert deep.bits == 16
    difference = np.abs(to_bytes(deep.pixels).astype(int) - to_bytes(shallow.pixels).astype(int))
    assert difference.max() <= 10
    assert difference.mean() < 0.5
    assert np.abs(to_bytes(shallow.pixels).astype(int) - pixels).max() > 10


def test_a_broken_profile_is_ignored_with_a_warning(marked: Image.Image, tmp_path: Path) -> None:
    marked.save(tmp_path / "photo.png", icc_profile=b"not a profile")
    photo = read_photo(tmp_path / "photo.png", LIMITS)
    assert "profile" in photo.warnings[0]
    assert corners(tmp_path / "photo.png") == UPRIGHT


def png(width: int, height: int, data: bytes = b"", *, bits: int = 8, colour: int = 0) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def truncated_jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(file, "JPEG")
    return file.getvalue()[: len(file.getvalue()) // 2]


HOSTILE: list[tuple[str, Callable[[], bytes], ExitCode]] = [
    ("empty", lambda: b"", ExitCode.UNREADABLE_IMAGE),
    ("one byte", lambda: b"\xff", ExitCode.UNREADABLE_IMAGE),
    ("text", lambda: b"hello, world" * 100, ExitCode.UNREADABLE_IMAGE),
    ("html with a jpeg inside", lambda: b"<html>" + truncated_jpeg(), ExitCode.UNREADABLE_IMAGE),
    ("gif", lambda: b"GIF89a" + b"\0" * 100, ExitCode.UNREADABLE_IMAGE),
    ("postscript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ExitCode.UNREADABLE_IMAGE),
    ("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", ExitCode.UNREADABLE_IMAGE),
    ("truncated jpeg", truncated_jpeg, ExitCode.UNREADABLE_IMAGE),
    ("png without pixels", lambda: png(100, 100), ExitCode.UNREADABLE_IMAGE),
    ("png of no width", lambda: png(0, 10), ExitCode.UNREADABLE_IMAGE),
    ("deep png without pixels", lambda: png(100, 100, bits=16, colour=2), ExitCode.UNREADABLE_IMAGE),
    ("196-megapixel png", lambda: png(14_000, 14_000, bytes(14_000 * 1751), bits=1), ExitCode.IMAGE_TOO_LARGE),
    ("png with a huge side", lambda: png(2**31 - 1, 2**31 - 1), ExitCode.IMAGE_TOO_LARGE),
    ("tiff of nothing", lambda: b"II*\0" + b"\xff" * 60, ExitCode.UNREADABLE_IMAGE),
    ("heic of nothing", lambda: b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 60, ExitCode.UNREADABLE_IMAGE),
    ("avif of nothing", lambda: b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + b"\0" * 60, ExitCode.UNREADABLE_IMAGE),
    ("webp of nothing", lambda: b"RIFF\xff\xff\xff\x7fWEBPVP8 " + b"\0" * 60, ExitCode.UNREADABLE_IMAGE),
    ("too many bytes", lambda: b"\xff\xd8\xff" + b"\0" * 5_000_000, ExitCode.IMAGE_TOO_LARGE),
]


@pytest.mark.parametrize(("make", "expected"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_files_are_refused_with_a_reason(make: Callable[[], bytes], expected: ExitCode, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(make())
    with pytest.raises(WorkFailed) as caught:
        read_photo(path, LIMITS)
    assert caught.value.code is expected
    assert 10 < len(caught.value.message) <= 256


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_file_cut_anywhere_is_read_or_refused_never_worse(kind: str, marked: Image.Image, tmp_path: Path) -> None:
    file = io.BytesIO()
    marked.save(file, kind)
    data, path = file.getvalue(), tmp_path / "photo"
    for end in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:end])
        assert outcome(path) in {None, ExitCode.UNREADABLE_IMAGE}


def outcome(path: Path) -> ExitCode | None:
    try:
        read_photo(path, LIMITS)
    except WorkFailed as failure:
        return failure.code
    return None


def test_many_frames_count_against_the_limit(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (500, 500), (index * 25, 0, 255 - index * 25)) for index in range(10)]
    frames[0].save(tmp_path / "photo.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(WorkFailed, match="10 frames") as caught:
        read_photo(tmp_path / "photo.webp", LIMITS)
    assert caught.value.code is ExitCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize(
    ("suffix", "bits"), [("jpg", 8), ("png", 8), ("webp", 8), ("tif", 8), ("png", 16), ("tif", 16)]
)
def test_a_photo_is_decoded_no_larger_than_it_is_wanted(tmp_path: Path, suffix: str, bits: int) -> None:
    ramp = np.linspace(0, 1, 1200)[np.newaxis, :, np.newaxis].repeat(800, 0).repeat(3, 2)
    full = 255 if bits == 8 else 65535
    cv2.imwrite(str(tmp_path / f"in.{suffix}"), np.rint(ramp * full).astype(np.uint8 if bits == 8 else np.uint16))
    photo = read_photo(tmp_path / f"in.{suffix}", Limits(), enough=(190, 5000))
    assert photo.source_size == (1200, 800)
    assert (photo.width, photo.height) == (300, 200)
    assert np.abs(photo.pixels[100, ::60, 0] / 65535 - ramp[400, 2::240, 0]).max() < 0.01
