"""Parts that start side by side."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rekindle_dev.parts import Parts, Silent, join


@contextmanager
def _part(name: str, story: list[str]) -> Iterator[str]:
    story.append(f"{name} started")
    try:
        yield name
    finally:
        story.append(f"{name} ended")


def test_a_part_waits_for_those_it_needs_and_ends_before_them() -> None:
    story: list[str] = []
    parts = Parts(Silent())
    go = threading.Event()

    def slow() -> None:
        go.wait(30)
        parts.keep(_part("database", story))

    database = parts.begin("database", slow)
    api = parts.begin("api", lambda: story.append(parts.keep(_part("api", story))), after=(database,))
    go.set()
    join((database, api))
    parts.close()
    assert story == ["database started", "api started", "api", "api ended", "database ended"]


def test_the_first_failure_is_told_and_what_needs_it_does_not_start() -> None:
    parts = Parts(Silent())
    never: list[str] = []

    def fail() -> None:
        raise OSError("no disk")

    database = parts.begin("database", fail)
    api = parts.begin("api", lambda: never.append("started"), after=(database,))
    with pytest.raises(OSError, match="no disk"):
        join((database, api))
    with pytest.raises(OSError, match="no disk"):
        api.result(30)
    assert never == []


def test_a_part_that_comes_up_after_the_end_is_ended() -> None:
    story: list[str] = []
    parts = Parts(Silent())
    parts.close()
    late = parts.begin("late", lambda: story.append(parts.keep(_part("late", story))))
    with pytest.raises(RuntimeError, match="ended while"):
        late.result(30)
    assert story == ["late started", "late ended"]
