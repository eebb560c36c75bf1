"""Which image formats are taken, how their first bytes look, and how the inspection of one can end.

The sender's file name and type are not believed.
"""

from enum import StrEnum

SNIFFED_BYTES = 64
EXIT_UNREADABLE = 3
"""How the inspection of a photo ends when it cannot be decoded."""
EXIT_TOO_LARGE = 4
"""How it ends when there are too many pixels, or too little memory for them."""
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class ImageKind(StrEnum):
    """A format that is taken; the value is its media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    TIFF = "image/tiff"
    HEIC = "image/heic"
    AVIF = "image/avif"


def sniff(head: bytes) -> ImageKind | None:
    """Return the format that the first bytes of a file announce, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return ImageKind.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageKind.PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageKind.WEBP
    if head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return ImageKind.TIFF
    if head[4:8] == b"ftyp":
        return _isobmff(head)
    return None


def _isobmff(head: bytes) -> ImageKind | None:
    """Tell AVIF from HEIC by the brands of an ISO base media file (ISO/IEC 14496-12, section 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    # The four bytes after the major brand are its version, not a brand.
    brands = {head[at : at + 4] for at in (8, *range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return ImageKind.AVIF
    return ImageKind.HEIC if brands & _HEIF_BRANDS else None
