"""Reports on Engines: whether what they name exists, how many jobs use them, and how fast they are."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from rekindle_crds import Engine, JobStatus, Operation, Phase, Reason
from rekindle_operator.cache import Cache
from rekindle_operator.cluster import MERGE_PATCH, ApiError, Cluster
from rekindle_operator.core.engine_status import Lack, Usage, engine_status, faster_or_slower, measured_speed
from rekindle_operator.core.engines import account_of, choose
from rekindle_operator.core.kinds import KINDS
from rekindle_operator.core.observed import Observed
from rekindle_operator.patch import merge_patch
from rekindle_operator.resources import ENGINES, SERVICE_ACCOUNTS, VOLUME_CLAIMS, Resource

logger = logging.getLogger(__name__)

_ROUND = 1.0
_COUNTS_PERIOD = 10.0
"""How often the counts of an Engine are written at most."""
_CHECK_PERIOD = {True: 60.0, False: 5.0}
"""How often what an Engine names is looked for: seldom when all was there, often when something was missing."""


@dataclass(slots=True)
class _File:
    """What is known of one Engine beyond its object."""

    generation: int = 0
    checked_at: float = float("-inf")
    written_at: float = float("-inf")
    lacks: tuple[Lack, ...] = ()


class EngineReports:
    """Writes the status of Engines."""

    def __init__(self, cluster: Cluster, cache: Cache) -> None:
        self._cluster = cluster
        self._cache = cache
        self._files: dict[str, _File] = {}
        self._speeds: dict[tuple[str, str], dict[Operation, float]] = {}

    def forget(self) -> None:
        """Remember no more than a process that has just started."""
        self._files.clear()
        self._speeds.clear()

    def note(self, observed: Observed, status: JobStatus) -> None:
        """Take in how fast an Engine was, when a job has just succeeded."""
        if status.phase != Phase.SUCCEEDED or status.result is None or status.engine_name is None:
            return
        operation, result = observed.kind.operation, status.result
        speeds = self._speeds.setdefault((observed.metadata.namespace, status.engine_name), {})
        before = speeds.get(operation, measured_speed(observed.engines, status.engine_name, operation))
        speeds[operation] = faster_or_slower(before, result.processing_milliseconds, result.source_pixels)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            for namespace in self._cache.namespaces():
                usage = self._usage(namespace)
                for engine in self._cache.engines(namespace):
                    try:
                        await self._report(engine, usage.get(engine.metadata.name, Usage()))
                    except ApiError as error:
                        extra = {"namespace": namespace, "engine": engine.metadata.name, "error": str(error)}
                        logger.warning("engine report failed", extra=extra)
            await asyncio.sleep(_ROUND)

    def _usage(self, namespace: str) -> dict[str, Usage]:
        """Return how many jobs use each Engine of a namespace."""
        engines = self._cache.engines(namespace)
        running, waiting = Counter[str](), Counter[str]()
        for key, job, child in self._cache.open_jobs(namespace):
            if child is not None:
                running[child.engine] += not (child.ended or child.suspended)
                waiting[child.engine] += child.suspended
                continue
            engine = choose(engines, job.spec.engine_name, KINDS[key.kind].operation)
            if isinstance(engine, Engine) and not job.spec.suspend:
                waiting[engine.metadata.name] += 1
        return {name: Usage(running[name], waiting[name]) for name in running.keys() | waiting.keys()}

    async def _report(self, engine: Engine, usage: Usage) -> None:
        file, clock = self._files.setdefault(engine.metadata.uid, _File()), asyncio.get_running_loop().time()
        changed = file.generation != engine.metadata.generation
        if changed or clock >= file.checked_at + _CHECK_PERIOD[not file.lacks]:
            file.lacks = tuple(await self._lacks(engine))
            file.generation, file.checked_at = engine.metadata.generation, clock
        speeds = self._speeds.get((engine.metadata.namespace, engine.metadata.name), {})
        status = engine_status(engine, usage, file.lacks, speeds, datetime.now(UTC).replace(microsecond=0))
        patch = merge_patch(engine.status.wire(), status.wire())
        urgent = "conditions" in patch or "observedGeneration" in patch
        if not patch or (not urgent and clock < file.written_at + _COUNTS_PERIOD):
            return
        file.written_at = clock
        body = {"metadata": {"resourceVersion": engine.metadata.resource_version}, "status": patch}
        path = ENGINES.path(engine.metadata.namespace, engine.metadata.name)
        try:
            # The answer is left to the watch, which wakes the jobs that wait for the Engine.
            await self._cluster.write("PATCH", f"{path}/status", body, MERGE_PATCH)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def _lacks(self, engine: Engine) -> list[Lack]:
        lacks: list[Lack] = []
        namespace, spec = engine.metadata.namespace, engine.spec
        account = account_of(spec)
        if not self._cache.policy.allows_account(account):
            message = f"The operator's settings do not allow the service account {account}."
            lacks.append(Lack(Reason.SERVICE_ACCOUNT_NOT_ALLOWED, message))
        if not await self._exists(SERVICE_ACCOUNTS, namespace, account):
            message = f"There is no ServiceAccount {account} in this namespace."
            lacks.append(Lack(Reason.SERVICE_ACCOUNT_NOT_FOUND, message))
        claim = spec.weights.persistent_volume_claim.name if spec.weights is not None else None
        if claim is not None and not await self._exists(VOLUME_CLAIMS, namespace, claim):
            message = f"There is no PersistentVolumeClaim {claim} in this namespace."
            lacks.append(Lack(Reason.VOLUME_CLAIM_NOT_FOUND, message))
        return lacks

    async def _exists(self, resource: Resource, namespace: str, name: str) -> bool:
        try:
            await self._cluster.get(resource.path(namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True
