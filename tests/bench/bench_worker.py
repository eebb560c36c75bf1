"""How long a restoration takes, and how much memory it needs, alone on this machine."""

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
        spent, _ = _restore(folder / "6.png", folder / "6.jpg")
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
        spent, peak = _restore(folder / "24.png", folder / "24.jpg")
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


def _write_damaged(path: Path, megapixels: int) -> None:
    clean = data.astronaut()
    side = round((megapixels * 1e6) ** 0.5)
    large = cv2.resize(clean, (side, side), interpolation=cv2.INTER_CUBIC)
    damaged = damage(large, Level.MEDIUM, seed=7).photo
    cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(damaged), cv2.COLOR_RGB2BGR))


def _restore(source: Path, target: Path) -> tuple[float, float]:
    """Return the wall time in seconds and the peak resident set in MiB of one run of the command."""
    start = time.perf_counter()
    command = [sys.executable, "-c", _MEASURED, "restore", "--quiet", str(source), str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 1024
