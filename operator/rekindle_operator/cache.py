"""What the operator knows of the cluster, kept by the watches and by the answers to its own writes.

Older news never replaces newer: every object is compared by resource version, and what was deleted stays deleted. Jobs
that have ended are not kept. The cache belongs to one event loop.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rekindle_crds import Engine
from rekindle_operator.core.kinds import KINDS, JobResource, Upstream
from rekindle_operator.core.observed import Child, Observed, Pod, Policy, Source
from rekindle_operator.core.views import child_of, owner_uid, pod_of, resource_version
from rekindle_operator.dependents import Dependents, Tombstones
from rekindle_operator.jsonlog import about
from rekindle_operator.memory import Key, Memory
from rekindle_operator.resources import CHILDREN, ENGINES, PODS, Resource

Json = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """One job, as the API server sent it and as it was understood."""

    raw: Json
    job: JobResource

    @property
    def finished(self) -> bool:
        return self.job.status.phase is not None and self.job.status.phase.finished


class Cache:
    """Jobs, Engines, child Jobs and pods, with the indexes that observation needs."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.revision: Counter[str] = Counter()
        """Counts, by namespace, the changes that can move the line for a place."""
        self.complete = False
        """Whether everything was listed once, so that what is not known does not exist or has ended."""
        self._jobs: dict[Key, _Known] = {}
        self._keys: dict[str, Key] = {}
        self._engines: dict[str, dict[str, Engine]] = {}
        self._memories: dict[str, Memory] = {}
        self._waiters: dict[Key, set[Key]] = defaultdict(set)
        """By a job, those that wait for its result."""
        self._gone = Tombstones()
        self._dependents = Dependents(self._gone)

    def apply(self, resource: Resource, raw: Json, *, deleted: bool = False) -> set[Key]:
        """Take in one object as it was seen, and return the jobs that have to be looked at because of it."""
        if resource == CHILDREN:
            return self._apply_child(raw, deleted=deleted)
        if resource == PODS:
            return self._apply_pod(raw, deleted=deleted)
        if resource == ENGINES:
            return self._apply_engine(raw, deleted=deleted)
        return self._apply_job(resource, raw, deleted=deleted)

    def replace(self, resource: Resource, namespace: str, items: Iterable[Json], version: int) -> set[Key]:
        """Take in a whole list: what it lacks and what is not younger than it was deleted unseen, or has ended."""
        present, wake = set(), set()
        for raw in items:
            present.add(raw["metadata"]["uid"])
            wake |= self.apply(resource, raw)
        if resource == CHILDREN:
            return wake | self._lost_children(self._owners(namespace), present, version)
        if resource == PODS:
            return wake | self._keys_of(self._dependents.drop_pods(self._owners(namespace), present, version))
        if resource == ENGINES:
            return wake | self._drop_engines(namespace, present, version)
        return wake | self._drop_jobs(resource, namespace, present, version)

    def confirm(self, key: Key, children: Iterable[Json], pods: Iterable[Json], version: int) -> None:
        """Take in the lists of one job's children and pods, read from the API server just now."""
        uid, present = self.uid(key), set[str]()
        for resource, items in ((CHILDREN, children), (PODS, pods)):
            for raw in items:
                present.add(raw["metadata"]["uid"])
                self.apply(resource, raw)
        self._lost_children([uid], present, version)
        self._dependents.drop_pods([uid], present, version)
        self.memory(key).confirmed = True

    def hold(self, resource: Resource, raw: Json) -> None:
        """Take in a job that has ended, as it was read just now, until it is released."""
        self._gone.discard(raw["metadata"]["uid"])
        self._apply_job(resource, raw, deleted=False)

    def release(self, key: Key) -> None:
        """Forget a job that has ended and for which nothing is left to be done now."""
        uid = self.uid(key)
        if uid:
            self._gone.add(uid)
            self._forget_job(key)

    def completed(self) -> None:
        """Take in that everything was listed: what ended for jobs that are not known is of no interest any more."""
        self.complete = True
        self._dependents.forget_strangers(self._keys)

    def observe(self, key: Key) -> Observed | None:
        """Return all that is known of a job, its turn apart; None when it does not exist or has ended before."""
        known = self._jobs.get(key)
        if known is None:
            return None
        uid, memory = known.job.metadata.uid, self.memory(key)
        children = self._dependents.children(uid)
        run = known.job.status.run
        controllers = {child.uid for child in children} | ({run.uid} if run is not None else set())
        return Observed(
            kind=KINDS[key.kind],
            job=known.job,
            engines=self.engines(key.namespace),
            children=children,
            # Anybody may label a pod as one of ours; only those that a child controls count.
            pods=tuple(pod for pod in self._dependents.pods(uid) if pod.child_uid in controllers),
            confirmed=memory.confirmed,
            progress=dict(memory.progress),
            tails=dict(memory.tails),
            refusal=memory.refusal,
            trouble=memory.trouble,
            source=self._source(key, known) or memory.source,
            progress_written_at=memory.progress_written_at,
            position_written_at=memory.position_written_at,
            policy=self.policy,
        )

    def jobs(self) -> Iterable[tuple[Key, Json]]:
        """Return all jobs as the API server sent them."""
        return ((key, known.raw) for key, known in self._jobs.items())

    def open_jobs(self, namespace: str) -> Iterator[tuple[Key, JobResource, Child | None]]:
        """Yield the jobs of a namespace that have not finished, with their latest child."""
        for key, known in self._jobs.items():
            if key.namespace == namespace and not known.finished:
                yield key, known.job, self._dependents.child(known.job.metadata.uid)

    def engines(self, namespace: str) -> tuple[Engine, ...]:
        """Return the Engines of a namespace."""
        return tuple(self._engines.get(namespace, {}).values())

    def namespaces(self) -> list[str]:
        """Return the namespaces that have Engines."""
        return list(self._engines)

    def alive(self, uid: str) -> bool:
        """Whether a job has a child that still works."""
        return self._dependents.alive(uid)

    def is_new(self, key: Key) -> bool:
        """Whether a job is known that has no child and of which nothing was told."""
        known = self._jobs.get(key)
        if known is None or known.job.status.phase is not None:
            return False
        return not self._dependents.children(known.job.metadata.uid)

    def job(self, key: Key) -> Json | None:
        """Return a job as the API server sent it."""
        known = self._jobs.get(key)
        return None if known is None else known.raw

    def uid(self, key: Key) -> str:
        """Return the uid of a job, empty when it is not known."""
        known = self._jobs.get(key)
        return "" if known is None else known.job.metadata.uid

    def memory(self, key: Key) -> Memory:
        """Return what is remembered of a job; of one that does not exist nothing is kept."""
        uid = self.uid(key)
        return self._memories.setdefault(uid, Memory()) if uid else Memory()

    def forget_memories(self) -> None:
        """Remember no more than a process that has just started."""
        self._memories.clear()

    def running(self) -> list[tuple[Key, Pod]]:
        """Return the pods whose container runs now, of jobs that have not finished."""
        return [(self._keys[uid], pod) for uid, pod in self._dependents.running() if uid in self._keys]

    def remove_child(self, key: Key, child_uid: str) -> None:
        """Take in that a child does not exist any more."""
        self._dependents.remove_child(self.uid(key), child_uid)
        self.revision[key.namespace] += 1

    def _source(self, key: Key, known: _Known) -> Source | None:
        """Return the job whose result is the source of this one, if a watch shows it: it has not ended then."""
        upstream = KINDS[key.kind].source(known.job)
        if not isinstance(upstream, Upstream):
            return None
        other = self._jobs.get(Key(upstream.kind, key.namespace, upstream.name))
        return None if other is None else Source(other.job)

    def _apply_job(self, resource: Resource, raw: Json, *, deleted: bool) -> set[Key]:
        metadata = raw["metadata"]
        key, uid = Key(resource.kind, metadata["namespace"], metadata["name"]), metadata["uid"]
        known = self._jobs.get(key)
        wake = set(self._waiters.get(key, ()))
        if deleted:
            self._gone.add(uid)
            if known is not None and known.job.metadata.uid == uid:
                self._forget_job(key)
            return wake
        if uid in self._gone or (known is not None and resource_version(raw) <= resource_version(known.raw)):
            return set()
        if known is not None and known.job.metadata.uid != uid:
            self.release(key)
            known = None
        metadata.pop("managedFields", None)
        try:
            fresh = _Known(raw, KINDS[key.kind].model.model_validate(raw))
        except ValidationError as error:
            logger.warning("job not understood", extra={**about(*key, uid), "error": str(error)})
            return set()
        self._remember_job(key, fresh, known)
        return wake | {key}

    def _remember_job(self, key: Key, fresh: _Known, known: _Known | None) -> None:
        uid = fresh.job.metadata.uid
        self._jobs[key] = fresh
        self._keys[uid] = key
        upstream = KINDS[key.kind].source(fresh.job)
        if isinstance(upstream, Upstream) and not fresh.finished:
            self._waiters[Key(upstream.kind, key.namespace, upstream.name)].add(key)
        if fresh.finished:
            self._dependents.forget_pods(uid)
            self._memories.pop(uid, None)
        spec = (fresh.job.metadata.generation, fresh.job.status.source, fresh.finished)
        if known is None or spec != (known.job.metadata.generation, known.job.status.source, known.finished):
            self.revision[key.namespace] += 1

    def _apply_engine(self, raw: Json, *, deleted: bool) -> set[Key]:
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        engines = self._engines.setdefault(namespace, {})
        known = engines.get(name)
        if deleted:
            self._gone.add(raw["metadata"]["uid"])
            if known is not None and known.metadata.uid == raw["metadata"]["uid"]:
                del engines[name]
            return self._childless(namespace)
        if raw["metadata"]["uid"] in self._gone:
            return set()
        try:
            engine = Engine.model_validate(raw)
        except ValidationError:
            # Stored by another version of the schema: for jobs it is as if it did not exist.
            engines.pop(name, None)
            return self._childless(namespace)
        if known is not None and int(known.metadata.resource_version or 0) >= resource_version(raw):
            return set()
        engines[name] = engine
        same = known is not None and known.spec == engine.spec and known.status.conditions == engine.status.conditions
        return set() if same else self._childless(namespace)

    def _apply_child(self, raw: Json, *, deleted: bool) -> set[Key]:
        if self.complete and owner_uid(raw) not in self._keys and child_of(raw).ended:
            return set()
        uid, moved = self._dependents.apply_child(raw, deleted=deleted)
        self.revision[raw["metadata"]["namespace"]] += moved
        return self._keys_of({uid})

    def _apply_pod(self, raw: Json, *, deleted: bool) -> set[Key]:
        owner = self._keys.get(owner_uid(raw))
        if owner is not None and self._jobs[owner].finished:
            return set()
        if self.complete and owner is None and pod_of(raw, gone=deleted).ended:
            return set()
        return self._keys_of({self._dependents.apply_pod(raw, deleted=deleted)})

    def _drop_jobs(self, resource: Resource, namespace: str, present: set[str], version: int) -> set[Key]:
        gone = [
            key
            for key, known in self._jobs.items()
            if key.kind == resource.kind
            and key.namespace == namespace
            and known.job.metadata.uid not in present
            and resource_version(known.raw) <= version
        ]
        wake: set[Key] = set()
        for key in gone:
            wake |= self._waiters.get(key, set())
            self.release(key)
        return wake

    def _drop_engines(self, namespace: str, present: set[str], version: int) -> set[Key]:
        engines = self._engines.get(namespace, {})
        gone = [
            name
            for name, engine in engines.items()
            if engine.metadata.uid not in present and int(engine.metadata.resource_version or 0) <= version
        ]
        for name in gone:
            del engines[name]
        return self._childless(namespace) if gone else set()

    def _lost_children(self, owners: Iterable[str], present: set[str], version: int) -> set[Key]:
        lost = self._keys_of(self._dependents.drop_children(owners, present, version))
        for key in lost:
            self.revision[key.namespace] += 1
        return lost

    def _owners(self, namespace: str) -> list[str]:
        return [uid for uid, key in self._keys.items() if key.namespace == namespace]

    def _keys_of(self, uids: Iterable[str]) -> set[Key]:
        return {self._keys[uid] for uid in uids if uid in self._keys}

    def _childless(self, namespace: str) -> set[Key]:
        """Take in that Engines changed, and return the jobs that this may help: those without a child."""
        self.revision[namespace] += 1
        return {key for key, _, child in self.open_jobs(namespace) if child is None}

    def _forget_job(self, key: Key) -> None:
        known = self._jobs.pop(key)
        uid = known.job.metadata.uid
        self._keys.pop(uid, None)
        self._memories.pop(uid, None)
        self._dependents.forget(uid)
        upstream = KINDS[key.kind].source(known.job)
        if isinstance(upstream, Upstream):
            other = Key(upstream.kind, key.namespace, upstream.name)
            self._waiters[other].discard(key)
            if not self._waiters[other]:
                del self._waiters[other]
        self.revision[key.namespace] += 1
