"""What a person sees: steps with their times, and bars for the long ones; plain lines where there is no terminal."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.text import Text

ShowProgress = Callable[[int, str], None]
"""Shows a percentage from 0 to 100, and what is being done."""


class Screen(ABC):
    """Where steps, bars and texts are shown. Its first four methods are told how the parts of the stack come up."""

    @abstractmethod
    def began(self, part: str) -> None:
        """A part starts."""

    @abstractmethod
    def said(self, part: str, text: str) -> None:
        """A part that starts has something to tell."""

    @abstractmethod
    def ready(self, part: str, seconds: float) -> None:
        """A part is ready."""

    @abstractmethod
    def failed(self, part: str) -> None:
        """A part cannot start."""

    @abstractmethod
    def text(self, text: str) -> None:
        """Show text as it is."""

    @abstractmethod
    def heading(self, text: str) -> None:
        """Show a line that stands out."""

    @abstractmethod
    @contextmanager
    def live(self) -> Iterator[None]:
        """Show what moves, until the end of the block."""
        yield

    @abstractmethod
    @contextmanager
    def bar(self, title: str) -> Iterator[ShowProgress]:
        """Show how far a long step is."""
        yield lambda percent, stage: None  # noqa: ARG005 - the form of what others yield

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step while it lasts, and whether it succeeded."""
        began = time.monotonic()
        self.began(title)
        try:
            yield
        except BaseException:
            self.failed(title)
            raise
        self.ready(title, time.monotonic() - began)


def open_screen() -> Screen:
    """Return a screen that fits standard output."""
    console = Console(highlight=False, markup=False)
    return RichScreen(console) if console.is_terminal else PlainScreen()


class PlainScreen(Screen):
    """One line for each thing that happened, for log files."""

    _QUIET_SECONDS = 10.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def began(self, part: str) -> None:
        """Say nothing: that it is ready will be said."""

    def said(self, part: str, text: str) -> None:
        """Show it, at most every ten seconds."""
        with self._lock:
            if text and time.monotonic() >= self._next:
                self._next = time.monotonic() + self._QUIET_SECONDS
                print(f"  {part}: {text}", flush=True)

    def ready(self, part: str, seconds: float) -> None:
        """Show it in a line."""
        self.text(f"  {part}: done after {seconds:.1f} s")

    def failed(self, part: str) -> None:
        """Show it in a line."""
        self.text(f"  {part}: failed")

    def text(self, text: str) -> None:
        """Print it."""
        with self._lock:
            print(text, flush=True)

    def heading(self, text: str) -> None:
        """Print it."""
        self.text(text)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show nothing more: lines do not move."""
        yield

    @contextmanager
    def bar(self, title: str) -> Iterator[ShowProgress]:
        """Show each stage once."""
        seen: set[str] = set()

        def show(percent: int, stage: str) -> None:
            if stage not in seen:
                seen.add(stage)
                self.text(f"  {title}: {percent} % {stage}")

        with self.step(title):
            yield show


class RichScreen(Screen):
    """Ticks, spinners and a bar in a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = self._new_progress()
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.RLock()

    def began(self, part: str) -> None:
        """Add a line with a spinner."""
        with self._lock:
            self._tasks[part] = self._progress.add_task(part, total=None, detail="", state="runs")

    def said(self, part: str, text: str) -> None:
        """Show it beside the part."""
        self._progress.update(self._tasks[part], detail=text)

    def ready(self, part: str, seconds: float) -> None:
        """Turn the spinner into a tick."""
        self._progress.update(self._tasks[part], detail=f"{seconds:.1f} s", state="done", total=1, completed=1)

    def failed(self, part: str) -> None:
        """Turn the spinner into a cross."""
        self._progress.update(self._tasks[part], state="failed", total=1, completed=1)

    def text(self, text: str) -> None:
        """Print it above what moves."""
        self._console.print(text, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Print it in bold."""
        self._console.print(Text(f"\n{text}", style="bold"))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show spinners until the end of the block; the lines stay."""
        self._progress = self._new_progress()
        with self._progress:
            yield

    @contextmanager
    def bar(self, title: str) -> Iterator[ShowProgress]:
        """Show a bar in place of the detail of a step."""
        with self.step(title):
            task = self._tasks[title]
            self._progress.update(task, total=100, completed=0)
            yield lambda percent, stage: self._progress.update(task, completed=percent, detail=stage, refresh=True)

    def _new_progress(self) -> Progress:
        return Progress(
            TextColumn(" "),
            _Mark(),
            TextColumn("{task.description}", markup=False),
            _Bar(),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            console=self._console,
        )


class _Mark(ProgressColumn):
    """A spinner, a tick or a cross."""

    _ENDED = MappingProxyType({"done": Text("✔", style="green"), "failed": Text("✘", style="red")})

    def __init__(self) -> None:
        super().__init__()
        self._spinner = Spinner("dots", style="cyan")

    def render(self, task: Task) -> RenderableType:
        return self._ENDED.get(task.fields["state"]) or self._spinner.render(task.get_time())


class _Bar(ProgressColumn):
    """A bar, for a step whose end is known and not yet reached."""

    def render(self, task: Task) -> RenderableType:
        if task.total is None or task.finished:
            return Text("")
        return ProgressBar(total=task.total, completed=task.completed, width=30)
