"""Which format a file is in, by its first bytes; its name counts for nothing."""

from enum import StrEnum


class SourceFormat(StrEnum):
    """The formats that are let in, as Pillow calls them."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    TIFF = "TIFF"
    HEIF = "HEIF"
    AVIF = "AVIF"


_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEAD_BYTES = 256
"""How many of the first bytes `sniff` wants to see."""


def sniff(head: bytes) -> SourceFormat | None:
    """Return the format of a file that starts with `head`, or None for anything that is not let in."""
    if head.startswith(b"\xff\xd8\xff"):
        return SourceFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return SourceFormat.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return SourceFormat.WEBP
    # BigTIFF (version 43) is left out: no photo that fits the limits needs 64-bit offsets.
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return SourceFormat.TIFF
    return _sniff_isobmff(head) if head[4:8] == b"ftyp" else None


def _sniff_isobmff(head: bytes) -> SourceFormat | None:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if brands & _AVIF_BRANDS:
        return SourceFormat.AVIF
    return SourceFormat.HEIF if brands & _HEIF_BRANDS else None
