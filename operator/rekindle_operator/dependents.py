"""Child Jobs and pods, by the uid of the job that they work for. Older news never replaces newer."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rekindle_operator.core.observed import Child, Pod
from rekindle_operator.core.views import child_of, controller_uid, owner_uid, pod_of

Json = dict[str, Any]

_REMEMBERED = 20_000


class Tombstones:
    """Uids of what was deleted or has ended of late: no older news brings it back."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        """Whether an object is gone."""
        return uid in self._uids

    def add(self, uid: str) -> None:
        """Remember that an object is gone; only the latest are remembered."""
        self._uids[uid] = None
        while len(self._uids) > _REMEMBERED:
            del self._uids[next(iter(self._uids))]

    def discard(self, uid: str) -> None:
        """Forget that an object was gone."""
        self._uids.pop(uid, None)


class Dependents:
    """What belongs to jobs. Children and pods may be seen before their job, and outlive it for a while."""

    def __init__(self, gone: Tombstones) -> None:
        self._gone = gone
        self._children: dict[str, dict[str, Child]] = {}
        self._pods: dict[str, dict[str, Pod]] = {}

    def children(self, uid: str) -> tuple[Child, ...]:
        """Return the children of a job."""
        return tuple(self._children.get(uid, {}).values())

    def child(self, uid: str) -> Child | None:
        """Return the child of a job's latest run."""
        return max(self._children.get(uid, {}).values(), key=lambda child: child.run, default=None)

    def pods(self, uid: str) -> tuple[Pod, ...]:
        """Return the pods that wear the label of a job, whoever controls them."""
        return tuple(self._pods.get(uid, {}).values())

    def running(self) -> list[tuple[str, Pod]]:
        """Return the pods whose container runs now, each with the uid of its job."""
        return [(uid, pod) for uid, pods in self._pods.items() for pod in pods.values() if pod.running]

    def apply_child(self, raw: Json, *, deleted: bool) -> tuple[str, bool]:
        """Take in a child as it was seen.

        Returns:
            The uid of its job, empty when this was no news; and whether a child came, ended or went.
        """
        uid, child = owner_uid(raw), child_of(raw)
        if not uid or uid in self._gone or controller_uid(raw) != uid or child.uid in self._gone:
            return "", False
        children = self._children.setdefault(uid, {})
        known = children.get(child.name)
        if deleted:
            self._gone.add(child.uid)
            children.pop(child.name, None)
            return uid, True
        if known is not None and known.resource_version >= child.resource_version:
            return "", False
        children[child.name] = child
        return "" if child == known else uid, known is None or known.ended != child.ended

    def apply_pod(self, raw: Json, *, deleted: bool) -> str:
        """Take in a pod as it was seen, and return the uid of its job, empty when this was no news."""
        uid, pod = owner_uid(raw), pod_of(raw, gone=deleted)
        if not uid or uid in self._gone:
            return ""
        pods = self._pods.setdefault(uid, {})
        known = pods.get(pod.uid)
        if known is not None and (known.gone or (known.resource_version >= pod.resource_version and not deleted)):
            return ""
        pods[pod.uid] = pod
        return "" if pod == known else uid

    def drop_children(self, owners: Iterable[str], present: set[str], version: int) -> set[str]:
        """Take in that a list of this version lacks all children but these; return the jobs that lost one."""
        lost: set[str] = set()
        for uid in owners:
            for child in self.children(uid):
                if child.uid not in present and child.resource_version <= version:
                    self.remove_child(uid, child.uid)
                    lost.add(uid)
        return lost

    def drop_pods(self, owners: Iterable[str], present: set[str], version: int) -> set[str]:
        """Take in that a list of this version lacks all pods but these; return the jobs that lost one."""
        lost: set[str] = set()
        for uid in owners:
            for pod in self.pods(uid):
                if pod.uid not in present and not pod.gone and pod.resource_version <= version:
                    self._pods[uid][pod.uid] = replace(pod, gone=True)
                    lost.add(uid)
        return lost

    def remove_child(self, uid: str, child_uid: str) -> None:
        """Take in that a child does not exist any more."""
        self._gone.add(child_uid)
        children = self._children.get(uid, {})
        for name in [name for name, child in children.items() if child.uid == child_uid]:
            del children[name]

    def alive(self, uid: str) -> bool:
        """Whether a job has a child that still works."""
        return any(not child.ended and not child.deleting for child in self.children(uid))

    def forget_pods(self, uid: str) -> None:
        """Forget the pods of a job that has ended."""
        self._pods.pop(uid, None)

    def forget(self, uid: str) -> None:
        """Forget all that belonged to a job."""
        self._children.pop(uid, None)
        self._pods.pop(uid, None)

    def forget_strangers(self, known: Iterable[str]) -> None:
        """Forget what belongs to no known job, a child that still works apart: its job ended and left it behind."""
        for uid in (self._children.keys() | self._pods.keys()) - set(known):
            if not self.alive(uid):
                self._children.pop(uid, None)
            self._pods.pop(uid, None)
