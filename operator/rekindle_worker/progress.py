"""Progress over the whole work: stages with their usual share of the time make one percentage that never goes back."""

from collections.abc import Callable, Mapping

from rekindle_crds import ProgressLine

Report = Callable[[str, float], None]
"""Called with a stage and how much of it is done, from 0 to 1."""


class Progress:
    """Turns stages and fractions into percent and calls `sink` on each change."""

    def __init__(self, shares: Mapping[str, float], sink: Callable[[ProgressLine], None]) -> None:
        total = sum(shares.values())
        self._ends: dict[str, tuple[float, float]] = {}
        done = 0.0
        for stage, share in shares.items():
            self._ends[stage] = (done / total, (done + share) / total)
            done += share
        self._sink = sink
        self._last = ProgressLine(stage="-", percent=0)
        self._source_pixels: int | None = None

    def source(self, pixels: int) -> None:
        """Note width times height of the source; every line from now on tells it."""
        self._source_pixels = pixels

    def report(self, stage: str, fraction: float) -> None:
        """Note that this fraction of a stage is done; stages come in the order of their shares."""
        start, end = self._ends[stage]
        percent = int(100 * (start + (end - start) * min(1.0, max(0.0, fraction))) + 1e-6)
        percent = max(percent, self._last.percent)
        line = ProgressLine(stage=stage, percent=percent, source_pixels=self._source_pixels)
        if line != self._last:
            self._last = line
            self._sink(line)


def print_line(line: ProgressLine) -> None:
    """Print a line of progress as JSON on standard output, where the operator reads it."""
    print(line.model_dump_json(by_alias=True, exclude_none=True), flush=True)
