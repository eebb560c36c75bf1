"""Leadership: one Lease says which operator acts; all others stand by, warm.

The leader must have renewed within the renew deadline, or it stops acting; the Lease is promised for longer. The time
in between is the margin in which what the leader has begun ends before another one may lead.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rekindle_operator.cluster import ApiError, Cluster, Json, NotLeading
from rekindle_operator.core.leadership import Sighting, holder, may_take, released, seen, taken
from rekindle_operator.resources import LEASES, SERVICE_ACCOUNTS, Resource

logger = logging.getLogger(__name__)

_RELEASE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Which Lease, who we are, and how many seconds each thing lasts."""

    namespace: str
    name: str
    identity: str
    duration: int
    renew_deadline: float
    retry_period: float
    owner: str = ""
    """A service account beside the Lease, with which it goes."""


class Leadership:
    """Takes, renews and releases the Lease, and is the gate of all other writes.

    `cluster` needs a gate of its own that is always open: the Lease is guarded by its resourceVersion.
    """

    def __init__(self, cluster: Cluster, terms: Terms) -> None:
        self._cluster = cluster
        self._terms = terms
        self._renewed_at = -math.inf
        self._lease: Json | None = None
        self._sighting: Sighting | None = None
        self._words = {"lease": f"{terms.namespace}/{terms.name}", "identity": terms.identity}

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        return self._left() > 0

    def check(self) -> float:
        """Return the seconds until another one may lead.

        Raises:
            NotLeading: The deadline for acting has passed.
        """
        left = self._left()
        if left <= 0:
            raise NotLeading
        return left + self._terms.duration - self._terms.renew_deadline

    async def run(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Stand by and lead in turn until cancelled.

        `act` acts until it is cancelled; when it has ended, nothing that it began may be under way any more.

        Raises:
            Exception: What ended `act`.
        """
        while True:
            if await self._attempt():
                logger.info("lease acquired", extra=self._words)
                await self._hold(asyncio.create_task(act(), name="acting"))
            else:
                await asyncio.sleep(self._terms.retry_period * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load

    async def _hold(self, acting: asyncio.Task[None]) -> None:
        """Renew for as long as that succeeds."""
        try:
            while self.leading and not acting.done():
                await asyncio.wait([acting], timeout=min(self._terms.retry_period, self._left()))
                if self.leading and not acting.done():
                    await self._attempt()
        finally:
            if not self.leading:
                logger.warning("lease lost", extra=self._words)
            acting.cancel()
            await asyncio.wait([acting])
            if self.leading:
                await self._release()
        if not acting.cancelled():
            acting.result()

    def _left(self) -> float:
        """Return the seconds until this process must not act any more, by a clock that runs while it is paused."""
        return self._renewed_at + self._terms.renew_deadline - _now()

    async def _attempt(self) -> bool:
        """Take or renew the Lease if that is allowed, and return whether it was done. No failure ends the loop."""
        half = self._terms.renew_deadline / 2
        try:
            async with asyncio.timeout(min(half, self._left()) if self.leading else half):
                return await self._take()
        except (ApiError, TimeoutError) as error:
            logger.warning("lease request failed", extra={**self._words, "error": str(error) or "no answer in time"})
        except Exception:
            logger.exception("lease request failed", extra=self._words)
        self._lease = None
        return False

    async def _take(self) -> bool:
        """Write the Lease: the leader over what it wrote last, everybody else over what was read just now."""
        if self.leading and self._lease is not None:
            try:
                return await self._write(self._lease)
            except ApiError as error:
                if error.status not in {404, 409}:
                    raise
        lease = await self._read(LEASES, self._terms.name)
        if lease is not None and not self._free(lease):
            self._renewed_at = -math.inf
            return False
        try:
            return await self._write(lease or await self._blank())
        except ApiError as error:
            if error.status != 409:
                raise
            return False  # somebody else was faster

    def _free(self, lease: Json) -> bool:
        before = self._sighting
        self._sighting = seen(before, lease.get("spec") or {}, _now())
        free = may_take(self._sighting, self._terms.identity, _now())
        held_by = holder(self._sighting.spec)
        if not free and (before is None or holder(before.spec) != held_by):
            logger.info("standing by", extra={**self._words, "holder": held_by})
        return free

    async def _blank(self) -> Json:
        """Return a Lease to be made, as a dependent of the service account if there is one."""
        metadata: Json = {"name": self._terms.name, "namespace": self._terms.namespace}
        account = await self._read(SERVICE_ACCOUNTS, self._terms.owner) if self._terms.owner else None
        if account is not None:
            uid = account["metadata"]["uid"]
            owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": self._terms.owner, "uid": uid}
            metadata["ownerReferences"] = [owner]
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}

    async def _read(self, resource: Resource, name: str) -> Json | None:
        try:
            return await self._cluster.get(resource.path(self._terms.namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    async def _write(self, lease: Json) -> bool:
        """Write the Lease; what it promises counts from before it was sent, since it is seen only afterwards."""
        began, terms = _now(), self._terms
        spec = taken(lease.get("spec") or {}, terms.identity, terms.duration, _moment())
        self._lease = await self._put({**lease, "spec": spec})
        self._sighting = seen(self._sighting, self._lease["spec"], began)
        self._renewed_at = began
        return True

    async def _put(self, lease: Json) -> Json:
        if "resourceVersion" in lease["metadata"]:
            return await self._cluster.write("PUT", LEASES.path(self._terms.namespace, self._terms.name), lease)
        return await self._cluster.write("POST", LEASES.path(self._terms.namespace), lease)

    async def _release(self) -> None:
        """Give the Lease back, so that a standby leads without waiting for it to expire."""
        self._renewed_at = -math.inf
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                lease = self._lease or await self._read(LEASES, self._terms.name)
                if lease is not None and holder(lease["spec"]) == self._terms.identity:
                    await self._put({**lease, "spec": released(lease["spec"], _moment())})
        except (ApiError, TimeoutError) as error:
            logger.warning("lease not released", extra={**self._words, "error": str(error) or "no answer in time"})
        else:
            logger.info("lease released", extra=self._words)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
