"""Doing what was decided: the only place that writes to the cluster, apart from Events."""

import logging
from datetime import UTC, datetime
from typing import assert_never

from rekindle_crds import JobStatus, Label, Reason
from rekindle_operator.budget import Budget
from rekindle_operator.cache import Cache, Key
from rekindle_operator.cluster import MERGE_PATCH, ApiError, Cluster
from rekindle_operator.core.child import child_manifest
from rekindle_operator.core.decision import Action, Confirm, CreateChild, DeleteChild, ForceDeletePod, ReadTail
from rekindle_operator.core.observed import CONTAINER, Observed, Refusal
from rekindle_operator.core.progress import tail_of
from rekindle_operator.core.views import controller_uid
from rekindle_operator.jsonlog import about
from rekindle_operator.patch import merge_patch
from rekindle_operator.resources import CHILDREN, JOBS, PODS

logger = logging.getLogger(__name__)

_TAIL = {"container": CONTAINER, "tailLines": "60", "limitBytes": "65536"}
_TAIL_TIMEOUT = 5.0


class Applier:
    """Writes status, does actions, and takes the answers into the cache at once."""

    def __init__(self, cluster: Cluster, cache: Cache, budget: Budget) -> None:
        self._cluster = cluster
        self._cache = cache
        self._budget = budget

    async def write_status(self, key: Key, observed: Observed, status: JobStatus) -> bool:
        """Write a status if it differs from what was observed, and return whether it was written.

        A conflict is no error: the job is read again and nothing is written, so that the caller decides afresh.

        Raises:
            ApiError: The API server refused for another reason than a conflict.
        """
        patch = merge_patch(observed.status.wire(), status.wire())
        if not patch:
            return False
        if set(patch) == {"progress"}:
            await self._budget.take()
        if "progress" in patch:
            self._cache.memory(key).progress_written_at = datetime.now(UTC)
        resource = JOBS[key.kind]
        body = {"metadata": {"resourceVersion": observed.metadata.resource_version}, "status": patch}
        path = resource.path(key.namespace, key.name)
        try:
            raw = await self._cluster.write("PATCH", f"{path}/status", body, MERGE_PATCH)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            await self._refresh(key)
            return False
        self._cache.apply(resource, raw)
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
            case ReadTail():
                await self._read_tail(key, action)
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
                self._refuse(key, Reason.CHILD_REFUSED, error.message, final=error.final)
                return
            else:
                raise
        self._cache.memory(key).refusal = None
        self._cache.apply(CHILDREN, raw)

    def _refuse(self, key: Key, reason: Reason, message: str, *, final: bool) -> None:
        memory = self._cache.memory(key)
        count = 1 if memory.refusal is None else memory.refusal.count + 1
        memory.refusal = Refusal(reason, message, final, datetime.now(UTC).replace(microsecond=0), count)

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

    async def _force_delete(self, key: Key, action: ForceDeletePod) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": action.uid}}
        try:
            await self._cluster.write("DELETE", PODS.path(key.namespace, action.name), body)
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

    async def _confirm(self, key: Key, uid: str) -> None:
        selector = f"{Label.JOB_UID}={uid}"
        children, version = await self._cluster.list(CHILDREN.path(key.namespace), selector)
        pods, _ = await self._cluster.list(PODS.path(key.namespace), selector)
        self._cache.confirm(key, children, pods, version)

    async def _refresh(self, key: Key) -> None:
        resource = JOBS[key.kind]
        try:
            raw = await self._cluster.get(resource.path(key.namespace, key.name))
        except ApiError as error:
            if error.status != 404:
                raise
            known = self._cache.job(key)
            if known is not None:
                self._cache.apply(resource, known, deleted=True)
        else:
            self._cache.apply(resource, raw)
