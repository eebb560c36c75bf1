"""The event stream as the visitor reads it."""

from typing import Any

import pytest

from rekindle_dev.visitor import parse_events


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        pytest.param(["event: progress", 'data: {"percent": 5}', ""], [("progress", {"percent": 5})], id="one"),
        pytest.param(['data: {"a":', "data: 1}", ""], [("message", {"a": 1})], id="data in two lines"),
        pytest.param([": ping", "", "id: 7", "retry: 3000", ""], [], id="comments and fields without data"),
        pytest.param(["event: x", "data: {}"], [], id="an event that the end cuts off"),
        pytest.param(["event:a", "data:{}", "", "data: {}", ""], [("a", {}), ("message", {})], id="a name counts once"),
    ],
)
def test_events_are_read_as_the_standard_says(lines: list[str], events: list[tuple[str, dict[str, Any]]]) -> None:
    assert list(parse_events(iter(lines))) == events
