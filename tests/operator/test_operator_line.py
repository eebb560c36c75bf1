"""Who may run when not all may: the order of the line, its limits and the positions in it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekindle_operator.core.admission import Candidate, Limits, Place, coarse, line_up

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def candidate(name: str, *, owner: str = "", engine: str = "cpu", priority: int = 0, second: int = 0) -> Candidate[str]:
    return Candidate(name, engine, owner, priority, NOON + timedelta(seconds=second))


def admitted(turns) -> set[str]:
    return {name for name, turn in turns.items() if turn.full is None}


def test_without_a_limit_all_may_run():
    assert admitted(line_up([candidate("a"), candidate("b")], [Place("cpu", "")] * 100, Limits(None, {}))) == {"a", "b"}


def test_priority_goes_first_and_then_who_came_first():
    line = [candidate("late", second=2), candidate("early", second=1), candidate("urgent", second=3, priority=5)]
    turns = line_up(line, [], Limits(2, {}))
    assert admitted(turns) == {"urgent", "early"}
    assert (turns["late"].full, turns["late"].position) == ("NamespaceFull", 1)


def test_an_owner_with_many_jobs_does_not_keep_out_one_with_few():
    crowd = [candidate(f"crowd-{number}", owner="crowd", second=number) for number in range(10)]
    turns = line_up([*crowd, candidate("single", owner="single", second=99)], [], Limits(2, {}))
    assert admitted(turns) == {"crowd-0", "single"}


def test_jobs_that_run_count_for_the_fairness_between_owners():
    line = [candidate("a", owner="busy", second=1), candidate("b", owner="idle", second=2)]
    assert admitted(line_up(line, [Place("cpu", "busy")], Limits(2, {}))) == {"b"}


def test_an_owner_who_was_just_served_goes_behind_one_who_waits_for_long():
    line = [candidate("a", owner="served", second=1), candidate("b", owner="waiting", second=2)]
    assert admitted(line_up(line, [], Limits(1, {}), {"served": 7, "waiting": 3})) == {"b"}
    assert admitted(line_up(line, [], Limits(1, {}), {"served": 7})) == {"b"}


def test_a_full_engine_holds_up_no_job_of_another_engine():
    line = [candidate("a", engine="gpu", second=1), candidate("b", engine="cpu", second=2)]
    turns = line_up(line, [Place("gpu", "")], Limits(None, {"gpu": 1}))
    assert admitted(turns) == {"b"}
    assert (turns["a"].full, turns["a"].position) == ("EngineFull", 1)


@pytest.mark.parametrize(
    ("position", "told"), [(1, 1), (10, 10), (11, 20), (99, 100), (100, 100), (101, 200), (950, 1000)]
)
def test_a_long_line_is_told_coarsely(position, told):
    assert coarse(position) == told


candidates = st.lists(
    st.builds(
        candidate,
        st.uuids().map(str),
        owner=st.sampled_from("xyz"),
        engine=st.sampled_from(["cpu", "gpu"]),
        priority=st.integers(-1, 1),
        second=st.integers(0, 5),
    ),
    max_size=30,
)
places = st.lists(st.builds(Place, st.sampled_from(["cpu", "gpu"]), st.sampled_from("xyz")), max_size=10)
limits = st.builds(
    Limits, st.none() | st.integers(1, 12), st.dictionaries(st.sampled_from(["cpu", "gpu"]), st.integers(1, 6))
)


@given(candidates, places, limits)
def test_no_limit_is_ever_passed_and_no_place_that_somebody_could_take_stays_free(line, running, most):
    turns = line_up(line, running, most)
    used = Counter(place.engine for place in running)
    used.update(job.engine for job in line if turns[job.name].full is None)
    new = len(admitted(turns))
    if most.namespace is not None:
        assert new <= max(0, most.namespace - len(running))
    for engine, limit in most.engines.items():
        assert used[engine] <= max(limit, Counter(place.engine for place in running)[engine])
    for job in line:
        if turns[job.name].full == "NamespaceFull":
            assert most.namespace is not None
            assert len(running) + new >= most.namespace
        if turns[job.name].full == "EngineFull":
            assert used[job.engine] >= most.engines[job.engine]


@given(candidates, places, limits, st.randoms())
def test_the_order_in_which_jobs_are_looked_at_does_not_matter(line, running, most, random):
    shuffled = sorted(line, key=lambda _: random.random())
    told = [
        sorted(Counter(turn for turn in line_up(jobs, running, most).values()).values()) for jobs in (line, shuffled)
    ]
    assert told[0] == told[1]
