"""Orientation of HEIF photos, where two rules meet.

The container's own rotation and mirroring (irot, imir) win over EXIF, which a reader must then ignore (MIAF, ISO/IEC
23000-22, 7.3.10.1), and the decoder has already applied them. Some phones write only the EXIF tag; then it counts.
"""

from pathlib import Path

from PIL import Image

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_MOST_META_BYTES = 4 * 1024 * 1024


def exif_orientation_counts(path: Path) -> bool:
    """Return whether the container says nothing about orientation, so that the EXIF tag decides."""
    meta = _meta_box(path)
    return b"irot" not in meta and b"imir" not in meta


def turn_upright(image: Image.Image, orientation: object) -> Image.Image:
    """Return the image turned by an EXIF orientation from 1 to 8; any other value changes nothing."""
    for turn in _TURNS.get(orientation, ()) if isinstance(orientation, int) else ():
        image = image.transpose(turn)
    return image


def _meta_box(path: Path) -> bytes:
    """Return the bytes of the top-level `meta` box, where the properties of all items stand."""
    with path.open("rb") as file:
        at = 0
        while len(header := file.read(8)) == 8:
            length, kind = int.from_bytes(header[:4], "big"), header[4:]
            if kind == b"meta":
                return file.read(min(max(0, length - 8), _MOST_META_BYTES))
            if length < 8:
                break
            at += length
            file.seek(at)
    return b""
