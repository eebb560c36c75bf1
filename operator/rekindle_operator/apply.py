"""Doing what was decided: the only place that writes to the cluster, apart from Events."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never

from rekindle_crds import JobStatus, Label, Reason
from rekindle_operator.budget import Budget
from rekindle_operator.cache import Cache
from rekindle_operator.cluster import MERGE_PATCH, STRATEGIC_MERGE_PATCH, ApiError, Cluster, Json
from rekindle_operator.core.child import child_manifest
from rekindle_operator.core.decision import (
    Action,
    Confirm,
    CreateChild,
    DeleteChild,
    DeleteJob,
    ForceDeletePod,
    ReadSource,
    ReadTail,
    ReadTrouble,
)
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.core.observed import CONTAINER, Observed, Refusal, Source, Trouble
from rekindle_operator.core.progress import tail_of
from rekindle_operator.core.status import invalid_status
from rekindle_operator.core.views import controller_uid
from rekindle_operator.core.waiting import refusal_of
from rekindle_operator.jsonlog import about
from rekindle_operator.memory import Key
from rekindle_operator.patch import merge_patch
from rekindle_operator.resources import CHILDREN, JOBS, PODS
from rekindle_operator.troubles import Troubles

logger = logging.getLogger(__name__)

_TAIL = {"container": CONTAINER, "tailLines": "60", "limitBytes": "65536"}
_TAIL_TIMEOUT = 5.0
_FORCE_PERIOD = timedelta(seconds=30)


class Applier:
    """Writes status, does actions, and takes the answers into the cache at once."""

    def __init__(self, cluster: Cluster, cache: Cache, budget: Budget) -> None:
        self._cluster = cluster
        self._cache = cache
        self._budget = budget
        self._troubles = Troubles(cluster)

    async def write_status(
        self, key: Key, observed: Observed, status: JobStatus, tell: Callable[[JobStatus], None]
    ) -> bool:
        """Write a status if it differs from what was observed, tell what was written, and return whether it was.

        A conflict is no error: the job is read again and nothing is written, so that the caller decides afresh. A
        status that the API server does not take ends the job: asking again would not help.

        Raises:
            ApiError: The API server refused for another reason.
        """
        patch = merge_patch(observed.status.wire(), status.wire())
        if not patch:
            return False
        if not self._pay(key, patch):
            return False
        try:
            return await self._patch_status(key, observed, patch, partial(tell, status))
        except ApiError as error:
            if error.status != 422:
                raise
            ending = invalid_status(observed, error.message, _now())
        for child in observed.children:
            if not child.ended and not child.deleting:
                await self._delete_child(key, DeleteChild(child.name, child.uid))
        patch = merge_patch(observed.status.wire(), ending.wire())
        return await self._patch_status(key, observed, patch, partial(tell, ending))

    def _pay(self, key: Key, patch: Json) -> bool:
        """Draw on the budget for what is written for people only, and note when that was; False when it waits.

        No worker is held up: for a progress the next log is read later, and a position is looked at again anyway.
        """
        waiting = patch.get("waiting") or {}
        moved = patch.keys() == {"waiting"} and waiting.keys() == {"position"}
        if moved and self._budget.exceeded:
            return False
        if moved or patch.keys() == {"progress"}:
            self._budget.spend()
        memory = self._cache.memory(key)
        if "progress" in patch:
            memory.progress_written_at = _now()
        if "position" in waiting:
            memory.position_written_at = _now()
        return True

    async def _patch_status(self, key: Key, observed: Observed, patch: Json, tell: Callable[[], None]) -> bool:
        """Write a patch of the status; False when the job has changed or gone meanwhile."""
        resource = JOBS[key.kind]
        body = {"metadata": {"resourceVersion": observed.metadata.resource_version}, "status": patch}
        path = resource.path(key.namespace, key.name)

        def written(raw: Json) -> None:
            self._cache.apply(resource, raw)
            tell()

        try:
            await self._cluster.write("PATCH", f"{path}/status", body, MERGE_PATCH, written)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            await self._refresh(key, observed.metadata.uid)
            return False
        return True

    async def perform(self, key: Key, observed: Observed, action: Action) -> None:
        """Do one action.

        Raises:
            ApiError: The API server refused, in a way that trying again may cure.
        """
        match action:
            case CreateChild():
                await self._create_child(key, observed, action)
            case DeleteChild():
                await self._delete_child(key, action)
            case ForceDeletePod():
                await self._force_delete(key, action)
            case DeleteJob():
                await self._delete_job(key, observed.metadata.uid)
            case ReadTail():
                await self._read_tail(key, action)
            case ReadTrouble():
                await self._read_trouble(key, observed, action)
            case ReadSource():
                await self._read_source(key, action)
            case Confirm():
                await self._confirm(key, observed.metadata.uid)
            case _:
                assert_never(action)

    async def _create_child(self, key: Key, observed: Observed, action: CreateChild) -> None:
        manifest = child_manifest(observed, action)
        path = CHILDREN.path(key.namespace)
        try:
            raw = await self._cluster.write("POST", path, manifest)
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                raw = await self._cluster.get(CHILDREN.path(key.namespace, manifest["metadata"]["name"]))
                if controller_uid(raw) != observed.metadata.uid:
                    self._refuse(key, Reason.CHILD_CONFLICT, f"Job {raw['metadata']['name']} is not ours.", final=True)
                    return
            elif error.status == 403 or error.final:
                reason = refusal_of(error.message) or Reason.CHILD_REFUSED
                self._refuse(key, reason, error.message, final=error.final)
                return
            else:
                raise
        memory = self._cache.memory(key)
        memory.refusal, memory.trouble = None, None
        self._cache.apply(CHILDREN, raw)

    def _refuse(self, key: Key, reason: Reason, message: str, *, final: bool) -> None:
        memory = self._cache.memory(key)
        count = 1 if memory.refusal is None else memory.refusal.count + 1
        memory.refusal = Refusal(reason, message, final, _now(), count)
        self._cache.revision[key.namespace] += 1

    async def _delete_child(self, key: Key, action: DeleteChild) -> None:
        """Delete in the foreground: the child stays visible, as deleting, until its pods are gone."""
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": action.uid}}
        try:
            raw = await self._cluster.write("DELETE", CHILDREN.path(key.namespace, action.name), body)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            self._cache.remove_child(key, action.uid)
            return
        if raw.get("kind") == "Job":
            self._cache.apply(CHILDREN, raw)

    async def _delete_job(self, key: Key, uid: str) -> None:
        resource = JOBS[key.kind]
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._cluster.write("DELETE", resource.path(key.namespace, key.name), body)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
        if self._cache.uid(key) == uid:
            self._cache.release(key)

    async def _force_delete(self, key: Key, action: ForceDeletePod) -> None:
        """Remove a pod for which no kubelet answers, at most once in half a minute.

        The Job controller gives up only a pod that has ended, so it is marked as such first, as Kubernetes' own pod
        garbage collector does for a node that does not exist any more.
        """
        forced, path = self._cache.memory(key).forced, PODS.path(key.namespace, action.name)
        now = _now()
        if action.uid in forced and now < forced[action.uid] + _FORCE_PERIOD:
            return
        forced[action.uid] = now
        words = "The node did not stop the pod."
        lost = {"type": "DisruptionTarget", "status": "True", "reason": Reason.NODE_LOST, "message": words}
        status = {"phase": "Failed", "conditions": [lost | {"lastTransitionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}]}
        body = {"metadata": {"uid": action.uid}, "status": status}
        try:
            await self._cluster.write("PATCH", f"{path}/status", body, STRATEGIC_MERGE_PATCH)
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": action.uid}}
            await self._cluster.write("DELETE", path, body)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def _read_tail(self, key: Key, action: ReadTail) -> None:
        """A log that cannot be read is remembered as empty: no job waits for a node that is gone."""
        path = PODS.path(key.namespace, action.pod_name, "log")
        try:
            log = await self._cluster.text(path, _TAIL, _TAIL_TIMEOUT)
        except ApiError as error:
            words = about(*key, self._cache.uid(key))
            logger.info("log not readable", extra={**words, "pod": action.pod_name, "error": str(error)})
            log = ""
        self._cache.memory(key).tails[action.pod_uid] = tail_of(log)

    async def _read_trouble(self, key: Key, observed: Observed, action: ReadTrouble) -> None:
        """Read the last word of the Job controller on a pod that it cannot make, unless a pod came after it."""
        ends = [attempt.completion_time for attempt in observed.status.attempts if attempt.completion_time is not None]
        told = await self._troubles.of(key.namespace, action.child_uid)
        _, last = max((word for word in told if all(word[0] >= end for end in ends)), default=(None, ""))
        self._cache.memory(key).trouble = Trouble(last, _now())

    async def _read_source(self, key: Key, action: ReadSource) -> None:
        upstream = action.upstream
        path = JOBS[upstream.kind].path(key.namespace, upstream.name)
        try:
            raw = await self._cluster.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            self._cache.memory(key).source = Source(None)
        else:
            self._cache.memory(key).source = Source(KINDS[upstream.kind].model.model_validate(raw))

    async def read_ended(self, key: Key) -> None:
        """Take a job that is not known into the cache if it has ended; one that has not is brought by the watch.

        Raises:
            ApiError: It could not be read.
        """
        resource = JOBS[key.kind]
        try:
            raw = await self._cluster.get(resource.path(key.namespace, key.name))
        except ApiError as error:
            if error.status != 404:
                raise
            return
        if raw.get("status", {}).get("completionTime"):
            self._cache.hold(resource, raw)

    async def _confirm(self, key: Key, uid: str) -> None:
        selector = f"{Label.JOB_UID}={uid}"
        children, version = await self._cluster.list(CHILDREN.path(key.namespace), selector)
        pods, _ = await self._cluster.list(PODS.path(key.namespace), selector)
        self._cache.confirm(key, children, pods, version)

    async def _refresh(self, key: Key, uid: str) -> None:
        resource = JOBS[key.kind]
        try:
            raw = await self._cluster.get(resource.path(key.namespace, key.name))
        except ApiError as error:
            if error.status != 404:
                raise
            known = self._cache.job(key)
            if known is not None and known["metadata"]["uid"] == uid:
                self._cache.apply(resource, known, deleted=True)
        else:
            self._cache.apply(resource, raw)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
