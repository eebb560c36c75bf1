"""Who may run when not all may: by priority, then fair between owners, then first come.

Fair is: the owner with the fewest running jobs first, and among those the one that was served the longest ago.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Generic, TypeVar

from rekindle_crds import Reason
from rekindle_operator.core.observed import Turn

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Candidate(Generic[Name]):
    """A job of a namespace that lacks nothing but a place."""

    name: Name
    engine: str
    owner: str
    priority: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a running job takes."""

    engine: str
    owner: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs may run at once: in the namespace, and on each Engine that has a limit."""

    namespace: int | None
    engines: Mapping[str, int]

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.namespace is not None or bool(self.engines)


def line_up(
    candidates: Iterable[Candidate[Name]], running: Iterable[Place], limits: Limits, served: Mapping[str, int] = {}
) -> dict[Name, Turn]:
    """Return the turn of each candidate.

    A job that waits for a full Engine holds up no job of another Engine. The places of those that may run are taken
    before the next one is looked at, so that all who ask at the same moment get answers that fit together.

    Args:
        candidates: All who ask, in any order.
        running: The places that are taken.
        limits: How many places there are.
        served: By owner a number that grows with each place given out, as it was for the owner's last one.
    """
    places = list(running)
    total, engines = len(places), Counter(place.engine for place in places)
    ahead: Counter[str] = Counter()
    waiting, turns = 0, {}
    for candidate in _in_order(candidates, Counter(place.owner for place in places), served):
        limit = limits.engines.get(candidate.engine)
        if limits.namespace is not None and total >= limits.namespace:
            full, position = Reason.NAMESPACE_FULL, waiting + 1
        elif limit is not None and engines[candidate.engine] >= limit:
            full, position = Reason.ENGINE_FULL, ahead[candidate.engine] + 1
        else:
            total += 1
            engines[candidate.engine] += 1
            turns[candidate.name] = Turn()
            continue
        waiting += 1
        ahead[candidate.engine] += 1
        turns[candidate.name] = Turn(full, position)
    return turns


def coarse(position: int) -> int:
    """Return a position rounded up to one leading digit past ten: it need not be written at every step."""
    step = 10 ** (len(str(position)) - 1)
    return position if position <= 10 else -(-position // step) * step


def _in_order(
    candidates: Iterable[Candidate[Name]], running: Counter[str], served: Mapping[str, int]
) -> Iterator[Candidate[Name]]:
    """Yield candidates by priority; within one, the owner with the fewest jobs and then the longest wait goes first."""
    taken, given = Counter(running), dict(served)
    last = max(given.values(), default=0)
    ordered = sorted(candidates, key=lambda candidate: (-candidate.priority, candidate.created))
    for _, group in groupby(ordered, key=lambda candidate: candidate.priority):
        queues: dict[str, list[Candidate[Name]]] = defaultdict(list)
        for candidate in group:
            queues[candidate.owner].append(candidate)
        heap = [(taken[owner], given.get(owner, 0), queue[0].created, owner, 0) for owner, queue in queues.items()]
        heapq.heapify(heap)
        while heap:
            *_, owner, index = heapq.heappop(heap)
            yield queues[owner][index]
            last += 1
            taken[owner] += 1
            given[owner] = last
            if index + 1 < len(queues[owner]):
                heapq.heappush(heap, (taken[owner], last, queues[owner][index + 1].created, owner, index + 1))
