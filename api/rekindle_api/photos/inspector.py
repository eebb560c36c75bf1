"""Runs the inspection of photos in child processes: few at once, each with limits and without our environment."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass

from rekindle_api.photos.errors import ImageTooLargeError, UnreadableImageError
from rekindle_api.photos.formats import EXIT_TOO_LARGE, EXIT_UNREADABLE, ImageKind
from rekindle_api.settings import LimitSettings

# By its name: this process loads no decoder.
_PROGRAM = "rekindle_api.photos.inspection"
_MAX_REPORT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Inspected:
    """What is known of a photo that was decoded: its upright size in pixels, and its thumbnail as WebP."""

    width: int
    height: int
    thumbnail: bytes


class Inspector:
    """Decodes photos out of this process."""

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self._running = asyncio.Semaphore(settings.inspections_at_once)

    async def inspect(self, fileno: int, kind: ImageKind) -> Inspected:
        """Decode the file behind a descriptor.

        Raises:
            UnreadableImageError: it cannot be decoded, or not within the time limit.
            ImageTooLargeError: it has too many pixels.
        """
        limits = {
            "memory": self._settings.inspection_memory_bytes,
            "seconds": self._settings.inspection_seconds,
            "pixels": self._settings.max_image_pixels,
        }
        async with self._running:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", _PROGRAM, kind.value, json.dumps(limits)),
                stdin=fileno,
                stdout=PIPE,
                stderr=DEVNULL,
                env={"LANG": "C.UTF-8"},
                limit=_MAX_REPORT_BYTES,
            )
            report = await self._report(child)
        return self._verdict(child.returncode, report)

    async def _report(self, child: Process) -> bytes:
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(2 * self._settings.inspection_seconds):
                try:
                    return await child.stdout.readexactly(_MAX_REPORT_BYTES)
                except asyncio.IncompleteReadError as complete:
                    await child.wait()
                    return complete.partial
        except TimeoutError:
            return b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    def _verdict(self, status: int | None, report: bytes) -> Inspected:
        if status == EXIT_TOO_LARGE:
            raise ImageTooLargeError(self._settings.max_image_pixels)
        if status == EXIT_UNREADABLE or status is None or status < 0:
            raise UnreadableImageError
        if status != 0:
            raise RuntimeError(f"the inspection of a photo ended with exit status {status}")
        head, _, thumbnail = report.partition(b"\n")
        facts = json.loads(head)
        return Inspected(width=facts["width"], height=facts["height"], thumbnail=thumbnail)
