"""Pure decisions of the process node: amounts, phases, what deserves an event, which images are the same."""

from typing import Any

import pytest

from rekindle_dev.node import quantity
from rekindle_dev.node.events import of_change
from rekindle_dev.node.images import Images, UnknownImageError
from rekindle_dev.node.states import Container, Running, State, Terminated, Waiting, phase

CREATED = Waiting()
BACK_OFF = Waiting("CrashLoopBackOff")
RUNS = Running("2026-01-01T00:00:00Z")
DONE = Terminated(0, "Completed")
FAILED = Terminated(3, "Error")


@pytest.mark.parametrize(
    ("text", "divisor", "amount"),
    [
        ("0", 1, 0),
        ("1Gi", 1, 2**30),
        ("1.5Gi", "1Mi", 1536),
        ("2G", 1, 2 * 10**9),
        ("500m", 1, 1),
        ("1500m", "1m", 1500),
        ("1e3", 1, 1000),
        ("1E", 1, 10**18),
        (7, 1, 7),
    ],
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str | int, divisor: str | int, amount: int) -> None:
    assert quantity.whole(text, divisor) == amount


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "one"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("policy", "states", "expected"),
    [
        ("Never", [CREATED], "Pending"),
        ("Never", [RUNS], "Running"),
        ("Never", [RUNS, CREATED], "Pending"),
        ("Never", [RUNS, FAILED], "Running"),
        ("Never", [DONE, DONE], "Succeeded"),
        ("Never", [DONE, FAILED], "Failed"),
        ("OnFailure", [DONE], "Succeeded"),
        ("OnFailure", [FAILED], "Running"),
        ("OnFailure", [BACK_OFF], "Running"),
        ("Always", [DONE], "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(policy: str, states: list[State], expected: str) -> None:
    names = [f"c{number}" for number in range(len(states))]
    pod: dict[str, Any] = {"spec": {"restartPolicy": policy, "containers": [{"name": name} for name in names]}}
    known = {
        name: Container(name, state, last=FAILED if state is BACK_OFF else None)
        for name, state in zip(names, states, strict=True)
    }
    assert phase(pod, known) == expected


@pytest.mark.parametrize(
    ("policy", "init", "expected"),
    [
        ("Never", RUNS, "Pending"),
        ("Never", FAILED, "Failed"),
        ("OnFailure", FAILED, "Pending"),
        ("Never", DONE, "Running"),
    ],
)
def test_the_phase_waits_for_init_containers(policy: str, init: State, expected: str) -> None:
    spec = {"restartPolicy": policy, "initContainers": [{"name": "init"}], "containers": [{"name": "main"}]}
    known = {"init": Container("init", init), "main": Container("main", RUNS if init is DONE else CREATED)}
    assert phase({"spec": spec}, known) == expected


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (CREATED, RUNS, "Started"),
        (CREATED, Waiting("ErrImagePull", "no"), "Failed"),
        (Waiting("ErrImagePull", "no"), Waiting("ImagePullBackOff", "no"), "BackOff"),
        (RUNS, Terminated(137, "OOMKilled"), "Failed"),
        (RUNS, DONE, None),
        (RUNS, RUNS, None),
    ],
)
def test_only_changes_that_tell_something_become_events(before: State, after: State, reason: str | None) -> None:
    event = of_change(Container("main", before), Container("main", after))
    assert (event.reason if event else None) == reason


@pytest.mark.parametrize("name", ["worker", "worker:latest", "docker.io/library/worker", "library/worker:latest"])
def test_an_image_is_known_by_each_of_its_names(name: str) -> None:
    assert Images({"worker": ["run"]}).entry_point({"image": name}) == ("run",)


@pytest.mark.parametrize("name", ["worker:1", "other/worker", "ghcr.io/library/worker", "worker@sha256:00"])
def test_another_image_is_unknown(name: str) -> None:
    with pytest.raises(UnknownImageError, match="it knows worker"):
        Images({"worker": ["run"]}).entry_point({"image": name})
