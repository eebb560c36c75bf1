"""What the operator knows of the cluster, kept by the watches and by the answers to its own writes.

Older news never replaces newer: every object is compared by resource version, and what was deleted stays deleted. The
cache belongs to one event loop.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from rekindle_crds import Engine, Phase, Progress
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.core.observed import Child, Observed, Pod, Policy, Refusal
from rekindle_operator.core.views import child_of, controller_uid, owner_uid, pod_of, resource_version
from rekindle_operator.resources import CHILDREN, ENGINES, PODS, Resource

Json = dict[str, Any]

_REMEMBERED = 10_000


class Key(NamedTuple):
    """Names one job."""

    kind: str
    namespace: str
    name: str


@dataclass(slots=True)
class Memory:
    """What the operator knows of a job beyond the cluster's objects; it can be lost at any time."""

    refusal: Refusal | None = None
    tails: dict[str, tuple[str, ...]] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    progress_written_at: datetime | None = None
    confirmed: bool = False


class Cache:
    """Jobs, Engines, child Jobs and pods, with the indexes that observation needs."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._jobs: dict[Key, Json] = {}
        self._keys: dict[str, Key] = {}
        self._engines: dict[str, dict[str, Engine]] = {}
        self._children: dict[str, dict[str, Child]] = {}
        self._pods: dict[str, dict[str, Pod]] = {}
        self._memories: dict[str, Memory] = {}
        self._deleted: dict[str, None] = {}

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
        """Take in a whole list: what it lacks and what is not younger than it was deleted unseen."""
        present, wake = set(), set()
        for raw in items:
            present.add(raw["metadata"]["uid"])
            wake |= self.apply(resource, raw)
        if resource == CHILDREN:
            return wake | self._drop_children(self._owners(namespace), present, version)
        if resource == PODS:
            return wake | self._drop_pods(self._owners(namespace), present, version)
        if resource == ENGINES:
            return wake | self._drop_engines(namespace, present, version)
        return wake | self._drop_jobs(resource, namespace, present, version)

    def confirm(self, key: Key, children: Iterable[Json], pods: Iterable[Json], version: int) -> None:
        """Take in the lists of one job's children and pods, read from the API server just now."""
        uid = self.uid(key)
        for resource, items in ((CHILDREN, list(children)), (PODS, list(pods))):
            for raw in items:
                self.apply(resource, raw)
            drop = self._drop_children if resource == CHILDREN else self._drop_pods
            drop([uid], {raw["metadata"]["uid"] for raw in items}, version)
        self.memory(key).confirmed = True

    def observe(self, key: Key) -> Observed | None:
        """Return all that is known of a job; None when it does not exist."""
        raw = self._jobs.get(key)
        if raw is None:
            return None
        uid, kind, memory = raw["metadata"]["uid"], KINDS[key.kind], self.memory(key)
        return Observed(
            kind=kind,
            job=kind.model.model_validate(raw),
            engines=tuple(self._engines.get(key.namespace, {}).values()),
            children=tuple(self._children.get(uid, {}).values()),
            pods=tuple(self._pods.get(uid, {}).values()),
            confirmed=memory.confirmed,
            progress=dict(memory.progress),
            tails=dict(memory.tails),
            refusal=memory.refusal,
            progress_written_at=memory.progress_written_at,
            policy=self._policy,
        )

    def settled(self, key: Key) -> bool:
        """Whether a job has finished and has nothing left to be done; found without reading all of it."""
        raw = self._jobs.get(key)
        if raw is None:
            return True
        if not _finished(raw) or raw["status"].get("observedGeneration") != raw["metadata"].get("generation"):
            return False
        children = self._children.get(raw["metadata"]["uid"], {}).values()
        alive = any(not child.ended and not child.deleting for child in children)
        return raw["status"]["phase"] == Phase.SUCCEEDED or not alive

    def job(self, key: Key) -> Json | None:
        """Return a job as the API server sent it."""
        return self._jobs.get(key)

    def uid(self, key: Key) -> str:
        """Return the uid of a job, empty when it does not exist."""
        raw = self._jobs.get(key)
        return "" if raw is None else str(raw["metadata"]["uid"])

    def memory(self, key: Key) -> Memory:
        """Return what is remembered of a job; of one that does not exist nothing is kept."""
        uid = self.uid(key)
        return self._memories.setdefault(uid, Memory()) if uid else Memory()

    def running(self) -> list[tuple[Key, Pod]]:
        """Return the pods whose container runs now, of jobs that have not finished."""
        return [
            (self._keys[uid], pod)
            for uid, pods in self._pods.items()
            if uid in self._keys
            for pod in pods.values()
            if pod.running
        ]

    def forget_memories(self) -> None:
        """Remember no more than a process that has just started."""
        self._memories.clear()

    def jobs(self) -> Iterable[tuple[Key, Json]]:
        """Return all jobs as the API server sent them."""
        return self._jobs.items()

    def remove_child(self, key: Key, child_uid: str) -> None:
        """Take in that a child does not exist any more."""
        self._remember_deleted(child_uid)
        children = self._children.get(self.uid(key), {})
        for name in [name for name, child in children.items() if child.uid == child_uid]:
            del children[name]

    def _apply_job(self, resource: Resource, raw: Json, *, deleted: bool) -> set[Key]:
        metadata = raw["metadata"]
        key, uid = Key(resource.kind, metadata["namespace"], metadata["name"]), metadata["uid"]
        known = self._jobs.get(key)
        if deleted:
            self._remember_deleted(uid)
            if known is not None and known["metadata"]["uid"] == uid:
                self._forget_job(key)
            return {key}
        if uid in self._deleted or (known is not None and resource_version(raw) <= resource_version(known)):
            return set()
        if known is not None and known["metadata"]["uid"] != uid:
            self._remember_deleted(known["metadata"]["uid"])
            self._forget_job(key)
        metadata.pop("managedFields", None)
        self._jobs[key] = raw
        self._keys[uid] = key
        if _finished(raw):
            self._pods.pop(uid, None)
            self._memories.pop(uid, None)
        return {key}

    def _apply_engine(self, raw: Json, *, deleted: bool) -> set[Key]:
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        engines = self._engines.setdefault(namespace, {})
        if deleted:
            self._remember_deleted(raw["metadata"]["uid"])
            known = engines.get(name)
            if known is not None and known.metadata.uid == raw["metadata"]["uid"]:
                del engines[name]
            return self._waiting(namespace)
        if raw["metadata"]["uid"] in self._deleted:
            return set()
        try:
            engine = Engine.model_validate(raw)
        except ValidationError:
            # Stored by another version of the schema: for jobs it is as if it did not exist.
            engines.pop(name, None)
            return self._waiting(namespace)
        known = engines.get(name)
        if known is not None and int(known.metadata.resource_version or 0) >= resource_version(raw):
            return set()
        engines[name] = engine
        return self._waiting(namespace)

    def _apply_child(self, raw: Json, *, deleted: bool) -> set[Key]:
        uid, child = owner_uid(raw), child_of(raw)
        if not self._may_exist(uid) or controller_uid(raw) != uid or child.uid in self._deleted:
            return set()
        children = self._children.setdefault(uid, {})
        known = children.get(child.name)
        if deleted:
            self._remember_deleted(child.uid)
            children.pop(child.name, None)
        elif known is not None and known.resource_version >= child.resource_version:
            return set()
        else:
            children[child.name] = child
        return self._owner_key(uid)

    def _apply_pod(self, raw: Json, *, deleted: bool) -> set[Key]:
        uid, pod = owner_uid(raw), pod_of(raw, gone=deleted)
        owner = self._keys.get(uid)
        if not self._may_exist(uid) or (owner is not None and _finished(self._jobs[owner])):
            return set()
        pods = self._pods.setdefault(uid, {})
        known = pods.get(pod.uid)
        if known is not None and (known.gone or (known.resource_version >= pod.resource_version and not deleted)):
            return set()
        pods[pod.uid] = pod
        return self._owner_key(uid)

    def _drop_jobs(self, resource: Resource, namespace: str, present: set[str], version: int) -> set[Key]:
        gone = {
            key
            for key, raw in self._jobs.items()
            if key.kind == resource.kind
            and key.namespace == namespace
            and raw["metadata"]["uid"] not in present
            and resource_version(raw) <= version
        }
        for key in gone:
            self._remember_deleted(self.uid(key))
            self._forget_job(key)
        return gone

    def _drop_engines(self, namespace: str, present: set[str], version: int) -> set[Key]:
        engines = self._engines.get(namespace, {})
        gone = [
            name
            for name, engine in engines.items()
            if engine.metadata.uid not in present and int(engine.metadata.resource_version or 0) <= version
        ]
        for name in gone:
            del engines[name]
        return self._waiting(namespace) if gone else set()

    def _drop_children(self, owners: Iterable[str], present: set[str], version: int) -> set[Key]:
        wake: set[Key] = set()
        for uid in owners:
            for child in list(self._children.get(uid, {}).values()):
                if child.uid not in present and child.resource_version <= version:
                    self._remember_deleted(child.uid)
                    del self._children[uid][child.name]
                    wake |= self._owner_key(uid)
        return wake

    def _drop_pods(self, owners: Iterable[str], present: set[str], version: int) -> set[Key]:
        wake: set[Key] = set()
        for uid in owners:
            for pod in list(self._pods.get(uid, {}).values()):
                if pod.uid not in present and not pod.gone and pod.resource_version <= version:
                    self._pods[uid][pod.uid] = replace(pod, gone=True)
                    wake |= self._owner_key(uid)
        return wake

    def _owners(self, namespace: str) -> list[str]:
        return [uid for uid, key in self._keys.items() if key.namespace == namespace]

    def _owner_key(self, uid: str) -> set[Key]:
        return {self._keys[uid]} if uid in self._keys else set()

    def _waiting(self, namespace: str) -> set[Key]:
        """Jobs that an Engine may help: those without a child."""
        return {
            key
            for key, raw in self._jobs.items()
            if key.namespace == namespace and not _finished(raw) and not self._children.get(raw["metadata"]["uid"])
        }

    def _forget_job(self, key: Key) -> None:
        uid = self.uid(key)
        self._jobs.pop(key, None)
        for index in (self._keys, self._children, self._pods, self._memories):
            index.pop(uid, None)

    def _may_exist(self, uid: str) -> bool:
        """Whether a job can have this uid; its children and pods may be seen before it, and outlive it for a while."""
        return bool(uid) and uid not in self._deleted

    def _remember_deleted(self, uid: str) -> None:
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]


def _finished(raw: Json) -> bool:
    phase = raw.get("status", {}).get("phase")
    return phase is not None and Phase(phase).finished
