"""How many jobs stand where: gauges that are counted from the cache at each scrape.

Finished jobs are not among them; they are counted once, when they end.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rekindle_crds import Phase
from rekindle_operator.cache import Cache, Json
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.metrics import Metrics, Values

_OPEN = tuple(phase for phase in Phase if not phase.finished)


class Census:
    """Counts the jobs that have not finished."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def expose(self, metrics: Metrics) -> None:
        """Expose all counts as gauges."""
        metrics.gauges("rekindle_jobs", "Unfinished jobs by kind and phase.", ("kind", "phase"), self.phases)
        metrics.gauges("rekindle_jobs_waiting", "Jobs that wait, by kind and reason.", ("kind", "reason"), self.reasons)
        metrics.gauges(
            "rekindle_longest_wait_seconds",
            "Age of the oldest job that has not started and is not suspended, by kind.",
            ("kind",),
            self.longest_waits,
        )

    def phases(self) -> Values:
        """Return how many jobs are in each phase, by kind."""
        found = Counter((kind, phase.value) for kind, phase, _ in self._open())
        return {(kind, phase.value): found[kind, phase.value] for kind in KINDS for phase in _OPEN}

    def reasons(self) -> Values:
        """Return how many jobs wait for each reason, by kind."""
        found = ((kind, (raw.get("status") or {}).get("waiting")) for kind, _, raw in self._open())
        return Counter((kind, str(waiting["reason"])) for kind, waiting in found if waiting)

    def longest_waits(self) -> Values:
        """Return the age in seconds of the oldest job that waits for its first start, by kind; 0 when none does."""
        oldest = dict.fromkeys(KINDS, 0.0)
        now = datetime.now(UTC)
        for kind, phase, raw in self._open():
            if phase != Phase.SUSPENDED and not (raw.get("status") or {}).get("startTime"):
                created = datetime.fromisoformat(raw["metadata"]["creationTimestamp"])
                oldest[kind] = max(oldest[kind], (now - created).total_seconds())
        return {(kind,): age for kind, age in oldest.items()}

    def _open(self) -> Iterator[tuple[str, Phase, Json]]:
        for key, raw in self._cache.jobs():
            phase = Phase((raw.get("status") or {}).get("phase") or Phase.PENDING)
            if not phase.finished:
                yield key.kind, phase, raw
