"""The README of the chart: its tables come from the comments of values.yaml."""

from pathlib import Path

import pytest

from rekindle_dev.helm.readme import ReadmeError, Row, page, rows

CHART = Path(__file__).resolve().parents[2] / "charts/rekindle"

VALUES = """\
# A sentence that is not for the README.
web:
  # -- How many
  # servers | there are.
  replicas: 2
  limits: {memory: 1Gi}
# -- Who may come.
guests:
  first:
    name: Ann
    # -- Their place.
    seat: 4
"""


def test_the_readme_shows_todays_values() -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    assert page(readme, (CHART / "values.yaml").read_text("utf-8")) == readme


def test_a_row_has_the_path_the_default_and_the_whole_comment() -> None:
    assert list(rows(VALUES)) == [
        Row("web.replicas", "2", "How many servers | there are."),
        Row("web.limits", "{memory: 1Gi}", ""),
        Row("guests", "", "Who may come."),
        Row("guests.first.seat", "4", "Their place."),
    ]


def test_a_bar_in_a_comment_does_not_end_a_cell() -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    assert "servers \\| there are." in page(readme, VALUES)


def test_what_is_written_by_hand_stays() -> None:
    readme = (CHART / "README.md").read_text("utf-8")
    written = page(readme, VALUES)
    assert written.startswith(readme.partition("<!--")[0])
    assert "`web.replicas`" in written
    assert "`api.replicas`" not in written


def test_a_readme_without_a_place_for_the_values_is_left_alone() -> None:
    with pytest.raises(ReadmeError, match="the tables stand between"):
        page("# Nothing to fill in\n", VALUES)
