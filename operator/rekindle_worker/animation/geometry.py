"""The size of a video: the photo's proportions, even sides, and no more pixels than the photo has to give."""

LONGEST_SIDE = 3840
"""Longer sides are refused by the decoders in many phones and graphics cards."""
_SMALLEST = 480
"""The smallest resolution on offer; only a photo that is smaller itself gives less."""
_LEAST = 16
"""One block of the codec."""


def video_size(width: int, height: int, shorter_side: int, zoom: float) -> tuple[int, int]:
    """Return the size of a video of a photo.

    The shorter side is what was asked for, as long as the nearest picture, 1/zoom of the photo, has as many pixels:
    a small photo gives a small video that is sharp, not a large one that is soft. The exception are photos whose
    nearest picture is under 480 pixels: their video has up to 480, but no more than the whole photo, so that its end
    is enlarged by at most the zoom.

    Args:
        width: Of the photo.
        height: Of the photo.
        shorter_side: Of the video, as it was asked for.
        zoom: How much larger things are in the nearest picture than in the first.
    """
    short, long = min(width, height), max(width, height)
    own = max(short / zoom, min(short, _SMALLEST))
    factor = min(min(shorter_side, own) / short, LONGEST_SIDE / long)
    return _even(width * factor), _even(height * factor)


def share_of_photo(size: tuple[int, int], width: int, height: int) -> tuple[float, float]:
    """Return the largest part of a photo with the proportions of a video, in shares of its width and height."""
    across = size[0] * height / (size[1] * width)
    return (1.0, 1 / across) if across >= 1 else (across, 1.0)


def _even(length: float) -> int:
    return max(_LEAST, int(length) // 2 * 2)
