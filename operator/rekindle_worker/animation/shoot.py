"""Runs a film once through, into the full video and at the same time into a small one, with and without a watermark."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rekindle_worker.animation.film import Film
from rekindle_worker.animation.frames import Frame
from rekindle_worker.animation.stamp import Stamp
from rekindle_worker.animation.video import VideoFile
from rekindle_worker.progress import Report

FRAME_RATE = 30
"""Frames a second: a slow pan looks smooth only at a high rate."""
_QUALITY = 19
_PREVIEW_EVERY = 2
_PREVIEW_SIDE = 360
_PREVIEW_QUALITY = 29
_POSTER_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Reels:
    """Where a film goes."""

    result: Path
    """MP4 file of full size."""
    preview: Path | None = None
    """MP4 file of at most 360 lines and half the rate: about a tenth of the bytes."""
    poster: Path | None = None
    """JPEG file of the first picture, which stands where the video will play."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One version of a film: as it is, or under a watermark."""

    reels: Reels
    watermark: str | None = None
    """The text; none when left out."""


def shoot(film: Film, seconds: int, cuts: Sequence[Cut], *, threads: int, report: Report) -> int:
    """Encode a film, every version at once, and return how many frames it has.

    Args:
        film: The film.
        seconds: How long it lasts.
        cuts: The versions to write.
        threads: How many pictures are made at once; it does not change the result.
        report: Called after each frame with the stage `animate`; what it raises ends the work.
    """
    count = seconds * FRAME_RATE
    times = [index / (count - 1) for index in range(count)]
    with ExitStack() as stack:
        takes = [stack.enter_context(_take(cut, film)) for cut in cuts]
        frames = stack.enter_context(closing(film.pictures(times, threads)))
        for index, frame in enumerate(frames):
            for take in takes:
                take(index, frame)
            report("animate", (index + 1) / count)
    return count


@contextmanager
def _take(cut: Cut, film: Film) -> Iterator[Callable[[int, Frame], None]]:
    """Open the files of one version, and yield what adds the next frame to them."""
    reels, size = cut.reels, preview_size(film)
    stamp = Stamp(cut.watermark, film.width, film.height) if cut.watermark is not None else None
    with ExitStack() as files:
        full = files.enter_context(
            VideoFile(reels.result, (film.width, film.height), rate=FRAME_RATE, quality=_QUALITY)
        )
        small = files.enter_context(_preview(reels.preview, film)) if reels.preview is not None else None

        def add(index: int, frame: Frame) -> None:
            if stamp is not None:
                frame = stamp.on(frame)
            if index == 0 and reels.poster is not None:
                Image.fromarray(frame).save(reels.poster, "JPEG", quality=_POSTER_QUALITY, progressive=True)
            full.write(frame)
            if small is not None and index % _PREVIEW_EVERY == 0:
                small.write(_shrunk(frame, size))

        yield add


def preview_size(film: Film) -> tuple[int, int]:
    """Return width and height of the small video."""
    factor = min(1.0, _PREVIEW_SIDE / min(film.width, film.height))
    return max(2, round(film.width * factor / 2) * 2), max(2, round(film.height * factor / 2) * 2)


def _preview(path: Path, film: Film) -> VideoFile:
    return VideoFile(path, preview_size(film), rate=FRAME_RATE // _PREVIEW_EVERY, quality=_PREVIEW_QUALITY)


def _shrunk(frame: Frame, size: tuple[int, int]) -> Frame:
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS), np.uint8)
