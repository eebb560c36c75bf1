"""How jobs are followed with the eye: bars in a terminal, a line for each change elsewhere."""

import sys
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from rekindle_crds import Phase
from rekindle_kubectl.jobs import Job, reference
from rekindle_kubectl.words import standing

_BARS = 15
"""Jobs beyond this many are shown when there is room for them."""


def console_for(*, errors: bool = False) -> Console:
    """Return a console that prints words as they are."""
    return Console(stderr=errors, highlight=False, markup=False, emoji=False, soft_wrap=True)


def report(words: str) -> None:
    """Say on standard error what went wrong."""
    print(f"kubectl rekindle: {words}", file=sys.stderr, flush=True)


def open_screen() -> "Screen":
    """Return the screen that fits standard output; a context manager."""
    console = console_for()
    return BarScreen(console) if console.is_terminal else LineScreen(console)


class Screen(ABC):
    """Where jobs are shown while they go on."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def say(self, text: str, style: str = "") -> None:
        """Show a line that stays."""
        self._console.print(Text(text, style=style))

    @abstractmethod
    def show(self, job: Job) -> None:
        """Show where a job stands now."""

    @abstractmethod
    def remove(self, job: Job) -> None:
        """Show a job no longer: it has ended."""

    @abstractmethod
    def close(self) -> None:
        """Show nothing more that moves."""


class LineScreen(Screen):
    """One line for each change, for log files and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._shown: dict[str, str] = {}

    def show(self, job: Job) -> None:
        """Print the standing when its phase, stage or reason is another one."""
        progress = job.status.progress if job.status.phase == Phase.RUNNING else None
        key = f"{job.status.phase} {progress.stage if progress else standing(job)}"
        if self._shown.get(reference(job)) == key:
            return
        self._shown[reference(job)] = key
        percent = f" {progress.percent} %" if progress else ""
        phase = job.status.phase.value if job.status.phase else "New"
        self.say(f"{reference(job)}: {phase}{percent}, {standing(job)}".rstrip(", "))

    def remove(self, job: Job) -> None:
        """Forget what was printed."""
        self._shown.pop(reference(job), None)

    def close(self) -> None:
        """Do nothing: lines do not move."""


class BarScreen(Screen):
    """A bar for each job that goes on; what has ended is a line above them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            SpinnerColumn("dots", style="cyan"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %", style="cyan"),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def show(self, job: Job) -> None:
        """Move the bar of a job."""
        name = reference(job)
        if name not in self._tasks:
            hidden = len(self._tasks) >= _BARS
            self._tasks[name] = self._progress.add_task(name, total=100, detail="", visible=not hidden)
        running = job.status.phase == Phase.RUNNING
        percent = job.status.progress.percent if job.status.progress is not None else 0
        self._progress.update(self._tasks[name], completed=percent, detail=standing(job))
        if running:
            self._progress.update(self._tasks[name], visible=True)

    def remove(self, job: Job) -> None:
        """Take the bar away, and use its room for one that had none."""
        task = self._tasks.pop(reference(job), None)
        if task is not None:
            self._progress.remove_task(task)
        for other in list(self._tasks.values())[:_BARS]:
            self._progress.update(other, visible=True)

    def close(self) -> None:
        """Take all bars away."""
        self._progress.stop()
