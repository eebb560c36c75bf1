"""How many jobs stand where and how full the Engines are: gauges that are read from the cache at each scrape.

Finished jobs are not among them; they are counted once, when they end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from rekindle_crds import Engine, Phase
from rekindle_operator.cache import Cache, Json
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.metrics import Metrics, Values

_OPEN = tuple(phase for phase in Phase if not phase.finished)


def _ready(engine: Engine) -> float:
    return float(any(c.type == "Ready" and c.status == "True" for c in engine.status.conditions))


_ENGINE_GAUGES: tuple[tuple[str, str, Callable[[Engine], float | None]], ...] = (
    ("rekindle_engine_ready", "1 for an Engine that jobs can use, else 0.", _ready),
    ("rekindle_engine_running", "Jobs that run on the Engine.", lambda engine: engine.status.running or 0),
    ("rekindle_engine_waiting", "Jobs that wait for the Engine.", lambda engine: engine.status.waiting or 0),
    ("rekindle_engine_limit", "maxRunning of an Engine that has it.", lambda engine: engine.spec.max_running),
)


class Census:
    """Counts the jobs that have not finished, and looks at the Engines."""

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
        for name, documentation, read in _ENGINE_GAUGES:
            metrics.gauges(name, documentation, ("engine_namespace", "engine"), partial(self.engines, read))

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

    def engines(self, read: Callable[[Engine], float | None]) -> Values:
        """Return what `read` finds in each Engine, by namespace and name; an Engine without it is left out."""
        engines = (engine for namespace in self._cache.namespaces() for engine in self._cache.engines(namespace))
        found = (((engine.metadata.namespace, engine.metadata.name), read(engine)) for engine in engines)
        return {names: value for names, value in found if value is not None}

    def _open(self) -> Iterator[tuple[str, Phase, Json]]:
        for key, raw in self._cache.jobs():
            phase = Phase((raw.get("status") or {}).get("phase") or Phase.PENDING)
            if not phase.finished:
                yield key.kind, phase, raw
