"""What a person sees, in a terminal and in a log file."""

import io
import re

import pytest
from rich.console import Console

from rekindle_dev.screen import PlainScreen, RichScreen, open_screen


def test_a_log_file_gets_a_line_for_each_thing_that_happened(capsys: pytest.CaptureFixture[str]) -> None:
    screen = open_screen()
    assert isinstance(screen, PlainScreen)
    with screen.live(), screen.bar("Restore") as show:
        show(0, "decode")
        show(5, "decode")
        show(50, "repair")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["  Restore: 0 % decode", "  Restore: 50 % repair"]
    assert re.fullmatch(r"  Restore: done after \d+\.\d s", lines[2])


def test_a_log_file_is_not_flooded_by_a_part_that_talks_much(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    for number in range(100):
        screen.said("Build", f"{number} packages compiled")
    assert capsys.readouterr().out == "  Build: 0 packages compiled\n"


def test_a_step_that_fails_says_so_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with PlainScreen().step("Upload"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert capsys.readouterr().out == "  Upload: failed\n"


def test_a_terminal_shows_ticks_crosses_and_a_bar() -> None:
    stream = io.StringIO()
    screen = RichScreen(Console(file=stream, force_terminal=True, width=100, markup=False))

    def fail() -> None:
        with screen.live():
            with screen.bar("Restore [it]") as show:
                show(40, "repair")
                screen.text("in between")
            with screen.step("Download"):
                raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    shown = stream.getvalue()
    assert all(text in shown for text in ("Restore [it]", "✔", "✘", "━", "in between"))
