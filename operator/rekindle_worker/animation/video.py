"""Writing H.264 video, frame by frame: nothing of it is held in memory but what the encoder looks ahead."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.reformatter import ColorRange, Colorspace

from rekindle_worker.animation.frames import Frame

_MOST_BITS_A_PIXEL = 0.25
"""Grain of an old print is costly: no second of the video may take more than this."""
_KEYFRAME_SECONDS = 10
"""Grain looks different right after a keyframe, which shows as a pulse; short videos need only the first."""
_BT709 = 1
"""Primaries and transfer of BT.709, by their number in ITU-T H.273."""
_ENCODER_THREADS = 1
"""With several, what `maxrate` leaves to a frame depends on how far the others are just then: other bytes each time."""


class VideoFile:
    """An MP4 file being written: H.264 in yuv420p, BT.709, with its index at the front so that it plays at once."""

    def __init__(self, path: Path, size: tuple[int, int], *, rate: int, quality: int) -> None:
        """Open a file for frames of one size.

        Args:
            path: The file.
            size: Width and height, both even.
            rate: Frames a second.
            quality: Constant rate factor of x264: about 18 is hard to tell from the source, 30 is rough.
        """
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=rate)
        context = self._stream.codec_context
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, rate)
        context.gop_size = _KEYFRAME_SECONDS * rate
        context.thread_count = _ENCODER_THREADS
        context.color_range = ColorRange.MPEG
        context.color_primaries = _BT709
        context.color_trc = _BT709
        context.colorspace = Colorspace.ITU709
        most = int(size[0] * size[1] * rate * _MOST_BITS_A_PIXEL) + 100_000
        context.options = {
            "preset": "fast",
            "profile": "high",
            "crf": str(quality),
            "maxrate": str(most),
            "bufsize": str(2 * most),
        }
        self._count = 0

    def write(self, frame: Frame) -> None:
        """Add a frame."""
        coloured = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU709,
        )
        coloured.pts = self._count
        coloured.time_base = self._stream.codec_context.time_base
        self._count += 1
        self._container.mux(self._stream.encode(coloured))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A file that nobody will use needs no end.
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
