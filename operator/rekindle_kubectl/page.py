"""An explanation on the screen: a headline, then titles on the left and words on the right."""

import textwrap

from rich.console import Console
from rich.text import Text

from rekindle_crds import Phase
from rekindle_kubectl.explain import Explanation

_WIDTH = 110
_MARGIN = 12
_MARKS = {
    Phase.SUCCEEDED.value: ("✔", "green"),
    Phase.FAILED.value: ("✘", "red"),
    Phase.CANCELLED.value: ("✘", "yellow"),
    Phase.RUNNING.value: ("▶", "cyan"),
    Phase.SUSPENDED.value: ("‖", "yellow"),
}
_OTHER_MARK = ("●", "yellow")


def print_page(explanation: Explanation, console: Console) -> None:
    """Print an explanation, and below it that of the job that it waits for."""
    width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
    for line in _page(explanation, max(40, width)):
        console.print(line)
    if explanation.upstream is not None:
        console.print(Text(f"\nIt depends on {explanation.upstream.job}:\n", style="bold"))
        print_page(explanation.upstream, console)


def _page(explanation: Explanation, width: int) -> list[Text]:
    mark, style = _MARKS.get(explanation.phase, _OTHER_MARK)
    reason = f": {explanation.reason}" if explanation.reason not in {"", explanation.phase} else ""
    head = Text.assemble(
        (f"{mark} ", style),
        (explanation.job, "bold"),
        "  ",
        (explanation.phase + reason, style),
        f"  {explanation.headline}",
    )
    lines = [head, Text("")]
    lines += _section("Why", explanation.meaning, width)
    if explanation.message:
        lines += _section("In detail", (explanation.message,), width)
    lines += _section("What to do", explanation.steps, width)
    for fact in explanation.facts:
        lines += _section(fact.title, fact.lines, width)
    return lines


def _section(title: str, words: tuple[str, ...], width: int) -> list[Text]:
    """Return a title and its lines; commands and log lines are left whole, so that they can be copied."""
    rows: list[tuple[str, str]] = []
    for sentence in words:
        if sentence.startswith("$ "):
            rows.append((f"  {sentence}", "cyan"))
        elif sentence.startswith("   | "):
            rows.append((sentence, "dim"))
        else:
            rows += [
                (row, "")
                for row in textwrap.wrap(sentence, width - _MARGIN, break_long_words=False, break_on_hyphens=False)
                or [""]
            ]
    titles = [title] + [""] * (len(rows) - 1)
    return [
        Text.assemble((f"{label:<{_MARGIN}}", "bold"), (row, style))
        for label, (row, style) in zip(titles, rows, strict=True)
    ]
