"""A figure: what was measured, what it is compared with in the same run, and what it should be."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

_ROW = "{name:<58} {value:>14} {baseline:>28} {ratio:>8}  {goal:<30} {verdict}"
HEADER = _ROW.format(name="figure", value="value", baseline="baseline", ratio="ratio", goal="goal", verdict="")


@dataclass(frozen=True)
class Figure:
    """One measured value with its goal."""

    name: str
    value: float
    unit: str
    baseline: float
    baseline_name: str
    goal: str
    holds: bool

    def line(self) -> str:
        """Return the figure as one line of the table; the last word is `holds` or `short`."""
        return _ROW.format(
            name=self.name,
            value=f"{self.value:.3g} {self.unit}",
            baseline=f"{self.baseline:.3g} {self.unit} ({self.baseline_name})",
            ratio=f"{self.value / self.baseline:.2f}x" if self.baseline else "-",
            goal=self.goal,
            verdict="holds" if self.holds else "short",
        )


def seconds(work: Callable[[], object], *, repeat: int = 3) -> float:
    """Return the median wall time of `work` over `repeat` calls, after one that is not counted."""
    work()
    return median(_once(work) for _ in range(repeat))


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
