"""The line for a place: which of the jobs that could run may run, where maxRunning sets a limit."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rekindle_crds import Engine, Label, Reason
from rekindle_operator.cache import Cache
from rekindle_operator.core.admission import Candidate, Limits, Place, line_up
from rekindle_operator.core.engines import choose, unfit
from rekindle_operator.core.kinds import KINDS, JobResource, Upstream
from rekindle_operator.core.observed import Turn
from rekindle_operator.memory import Key

_OWNERS = 10_000


@dataclass(frozen=True, slots=True)
class _Lined:
    """The line of a namespace, as long as it holds."""

    revision: int
    until: datetime | None
    """When a job that was refused may ask again, and so stands in the line again."""
    turns: dict[Key, Turn]


class Line:
    """The line of each namespace, worked out anew when something changed that can move it."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lines: dict[str, _Lined] = {}
        self._told: dict[str, int] = {}
        self._taken: dict[str, dict[str, str]] = {}
        """By namespace and uid of a job, the Engine whose place it takes although no child of it has been seen."""
        self._served: dict[str, int] = {}
        """By owner, the number of the last place that a job of this owner took; the latest owners only."""
        self._numbers = itertools.count(1)

    def forget(self) -> None:
        """Remember no more than a process that has just started."""
        for part in (self._lines, self._told, self._taken, self._served):
            part.clear()

    def turn(self, key: Key, job: JobResource) -> Turn:
        """Return the turn of a job; one that no limit concerns may run."""
        engines = self._cache.engines(key.namespace)
        limits = _limits(self._cache.policy.max_running, engines)
        engine = choose(engines, job.spec.engine_name, KINDS[key.kind].operation)
        if job.spec.queue_name is not None or not isinstance(engine, Engine) or not _could_run(key, job):
            return Turn()
        if limits.namespace is None and engine.metadata.name not in limits.engines:
            return Turn()
        line = self._line(key.namespace, limits)
        if self._taken.get(key.namespace, {}).get(job.metadata.uid) == engine.metadata.name:
            return Turn()
        # A job that does not stand in the line yet is refused: it is looked at again once it does.
        full = Reason.ENGINE_FULL if engine.metadata.name in limits.engines else Reason.NAMESPACE_FULL
        return line.get(key, Turn(full))

    def take(self, key: Key, job: JobResource, engine: Engine) -> None:
        """Take in that a child is about to be made: its place is taken even when the answer never comes."""
        limits = _limits(self._cache.policy.max_running, self._cache.engines(key.namespace))
        if limits.limited and job.spec.queue_name is None:
            self._taken.setdefault(key.namespace, {})[job.metadata.uid] = engine.metadata.name
            owner = job.metadata.labels.get(Label.OWNER, "")
            self._served.pop(owner, None)
            self._served[owner] = next(self._numbers)
            if len(self._served) > _OWNERS:
                del self._served[next(iter(self._served))]

    def admitted(self, namespace: str) -> set[Key]:
        """Return the jobs of a namespace whose turn it is now, once for each change; none when there is no limit."""
        limits = _limits(self._cache.policy.max_running, self._cache.engines(namespace))
        if not limits.limited:
            return set()
        revision = self._cache.revision[namespace]
        if self._told.get(namespace) == revision:
            return set()
        self._told[namespace] = revision
        return {key for key, turn in self._line(namespace, limits).items() if turn.full is None}

    def _line(self, namespace: str, limits: Limits) -> dict[Key, Turn]:
        revision, now = self._cache.revision[namespace], datetime.now(UTC)
        known = self._lines.get(namespace)
        if known is None or known.revision != revision or (known.until is not None and known.until <= now):
            known = self._line_up(namespace, limits, now)
            self._lines[namespace] = known
        return known.turns

    def _line_up(self, namespace: str, limits: Limits, now: datetime) -> _Lined:
        revision, taken = self._cache.revision[namespace], self._taken.get(namespace, {})
        kept: dict[str, str] = {}
        candidates: list[Candidate[Key]] = []
        places: list[Place] = []
        again: list[datetime] = []
        for key, job, child in self._cache.open_jobs(namespace):
            owner, uid = job.metadata.labels.get(Label.OWNER, ""), job.metadata.uid
            refusal = self._cache.memory(key).refusal
            if child is not None:
                if not (child.ended or child.queued):
                    places.append(Place(child.engine, owner))
            elif refusal is not None and now < refusal.retry_at:
                again.append(refusal.retry_at)
            elif uid in taken and self._engine(key, job) == taken[uid]:
                kept[uid] = taken[uid]
                places.append(Place(taken[uid], owner))
            elif (engine := self._engine(key, job)) is not None:
                created = job.metadata.creation_timestamp or now
                candidates.append(Candidate(key, engine, owner, job.spec.priority, created))
        self._taken[namespace] = kept
        return _Lined(revision, min(again, default=None), line_up(candidates, places, limits, self._served))

    def _engine(self, key: Key, job: JobResource) -> str | None:
        """Return the Engine on which a job without a child could run now, if it had a place."""
        if job.spec.queue_name is not None or not _could_run(key, job):
            return None
        engine = choose(self._cache.engines(key.namespace), job.spec.engine_name, KINDS[key.kind].operation)
        if not isinstance(engine, Engine) or unfit(engine, self._cache.policy) is not None:
            return None
        return engine.metadata.name


def _could_run(key: Key, job: JobResource) -> bool:
    """Whether a job without a child lacks nothing but a place."""
    stopped = job.spec.cancel or job.spec.suspend or job.metadata.deletion_timestamp is not None
    waits = isinstance(KINDS[key.kind].source(job), Upstream) and job.status.source is None
    return not (stopped or waits)


def _limits(namespace: int | None, engines: Iterable[Engine]) -> Limits:
    limits = {engine.metadata.name: engine.spec.max_running for engine in engines if engine.spec.max_running}
    return Limits(namespace, limits)
