"""How long a restoration and an animation take, and how much memory they need, alone on this machine."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from skimage import data
from tests.bench.figures import Figure, seconds

from rekindle_dev.damage import Level, damage
from rekindle_worker.animation.shoot import FRAME_RATE
from rekindle_worker.animation.video import VideoFile

# The kernel's own count of a child would start with the peak of this process.
_MEASURED = """
import re, sys
from pathlib import Path
from rekindle_worker.cli import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def figures() -> Iterator[Figure]:
    """Measure seconds per megapixel on 6 megapixels, and memory on 24 megapixels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for megapixels in (6, 24):
            _write_damaged(folder / f"{megapixels}.png", megapixels)
        image = cv2.imread(str(folder / "6.png"))
        assert image is not None
        denoise = seconds(lambda: cv2.fastNlMeansDenoisingColored(image), repeat=1) / 6
        spent, _ = _measured("restore", folder / "6.png", folder / "6.jpg")
        yield Figure(
            "restore 6 MP, whole command, per megapixel",
            spent / 6,
            "s",
            denoise,
            "OpenCV NLM alone",
            "at most 3 s",
            spent / 6 <= 3,
        )
        decoded = 24 * 3 * 4 / 1.048576  # one copy of the photo in 32-bit floats, in MiB
        spent, peak = _measured("restore", folder / "24.png", folder / "24.jpg")
        yield Figure(
            "restore 24 MP, whole command, per megapixel",
            spent / 24,
            "s",
            denoise,
            "OpenCV NLM alone",
            "at most 3 s",
            spent / 24 <= 3,
        )
        yield Figure(
            "restore 24 MP, peak resident memory", peak, "MiB", decoded, "one float copy", "under 1536 MiB", peak < 1536
        )
        yield from _animations(folder, decoded)


def _animations(folder: Path, decoded: float) -> Iterator[Figure]:
    still = seconds(lambda: _encode_still(folder / "6.png", folder / "still.mp4"), repeat=1)
    spent, peak = _measured("animate", folder / "6.png", folder / "6.mp4")
    yield Figure(
        "animate 6 MP, 6 s at 720p, whole command",
        spent,
        "s",
        still,
        "encoding as many still frames",
        "at most 20 s",
        spent <= 20,
    )
    yield Figure(
        "animate 6 MP, 6 s at 720p, peak resident memory",
        peak,
        "MiB",
        decoded / 4,
        "one float copy",
        "under 1024 MiB",
        peak < 1024,
    )
    _, peak = _measured("animate", folder / "24.png", folder / "24.mp4", "--resolution", "1080p")
    yield Figure(
        "animate 24 MP, 6 s at 1080p, peak resident memory",
        peak,
        "MiB",
        decoded,
        "one float copy",
        "under 1536 MiB",
        peak < 1536,
    )


def _write_damaged(path: Path, megapixels: int) -> None:
    clean = data.astronaut()
    side = round((megapixels * 1e6) ** 0.5)
    large = cv2.resize(clean, (side, side), interpolation=cv2.INTER_CUBIC)
    damaged = damage(large, Level.MEDIUM, seed=7).photo
    cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(damaged), cv2.COLOR_RGB2BGR))


def _encode_still(source: Path, target: Path) -> None:
    """Encode one frame again and again: what a video costs in which nothing moves."""
    photo = cv2.imread(str(source))
    assert photo is not None
    frame = cv2.resize(photo, (720, 720), interpolation=cv2.INTER_AREA)
    with VideoFile(target, (720, 720), rate=FRAME_RATE, quality=19) as video:
        for _ in range(6 * FRAME_RATE):
            video.write(np.asarray(frame, np.uint8))


def _measured(command: str, source: Path, target: Path, *options: str) -> tuple[float, float]:
    """Return the wall time in seconds and the peak resident set in MiB of one run of the command."""
    start = time.perf_counter()
    given = [sys.executable, "-c", _MEASURED, command, "--quiet", str(source), str(target), *options]
    done = subprocess.run(given, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024
