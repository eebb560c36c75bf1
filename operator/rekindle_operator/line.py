"""The line for a place: which of the jobs that could run may run, where maxRunning sets a limit."""

from collections.abc import Iterable
from datetime import UTC, datetime

from rekindle_crds import Engine, Label, Reason
from rekindle_operator.cache import Cache
from rekindle_operator.core.admission import Candidate, Limits, Place, line_up
from rekindle_operator.core.engines import choose
from rekindle_operator.core.kinds import KINDS, JobResource, Upstream
from rekindle_operator.core.observed import Turn
from rekindle_operator.memory import Key


class Line:
    """The line of each namespace, worked out anew when something changed that can move it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lines: dict[str, tuple[int, dict[Key, Turn]]] = {}
        self._told: dict[str, int] = {}

    def turn(self, key: Key, job: JobResource) -> Turn:
        """Return the turn of a job; one that no limit concerns may run."""
        engines = self._cache.engines(key.namespace)
        limits = _limits(self._cache.policy.max_running, engines)
        engine = choose(engines, job.spec.engine_name, KINDS[key.kind].operation)
        if job.spec.queue_name is not None or not isinstance(engine, Engine):
            return Turn()
        if limits.namespace is None and engine.metadata.name not in limits.engines:
            return Turn()
        # A job that does not stand in the line yet is refused: it is looked at again once it does.
        full = Reason.ENGINE_FULL if engine.metadata.name in limits.engines else Reason.NAMESPACE_FULL
        return self._line(key.namespace, limits).get(key, Turn(full))

    def admitted(self, namespace: str) -> set[Key]:
        """Return the jobs of a namespace whose turn it is now, once for each change; none when there is no limit."""
        limits = _limits(self._cache.policy.max_running, self._cache.engines(namespace))
        if limits.namespace is None and not limits.engines:
            return set()
        revision = self._cache.revision[namespace]
        if self._told.get(namespace) == revision:
            return set()
        self._told[namespace] = revision
        return {key for key, turn in self._line(namespace, limits).items() if turn.full is None}

    def _line(self, namespace: str, limits: Limits) -> dict[Key, Turn]:
        revision = self._cache.revision[namespace]
        known = self._lines.get(namespace)
        if known is None or known[0] != revision:
            known = (revision, self._line_up(namespace, limits))
            self._lines[namespace] = known
        return known[1]

    def _line_up(self, namespace: str, limits: Limits) -> dict[Key, Turn]:
        engines = self._cache.engines(namespace)
        candidates: list[Candidate[Key]] = []
        places: list[Place] = []
        for key, job, child in self._cache.open_jobs(namespace):
            owner = job.metadata.labels.get(Label.OWNER, "")
            if job.spec.queue_name is not None:
                continue
            if child is not None:
                if not child.ended:
                    places.append(Place(child.engine, owner))
                continue
            engine = choose(engines, job.spec.engine_name, KINDS[key.kind].operation)
            if isinstance(engine, Engine) and _could_run(key, job):
                created = job.metadata.creation_timestamp or datetime.now(UTC)
                candidates.append(Candidate(key, engine.metadata.name, owner, job.spec.priority, created))
        return line_up(candidates, places, limits)


def _could_run(key: Key, job: JobResource) -> bool:
    """Whether a job without a child lacks nothing but a place."""
    stopped = job.spec.cancel or job.spec.suspend or job.metadata.deletion_timestamp is not None
    waits = isinstance(KINDS[key.kind].source(job), Upstream) and job.status.source is None
    return not (stopped or waits)


def _limits(namespace: int | None, engines: Iterable[Engine]) -> Limits:
    limits = {engine.metadata.name: engine.spec.max_running for engine in engines if engine.spec.max_running}
    return Limits(namespace, limits)
