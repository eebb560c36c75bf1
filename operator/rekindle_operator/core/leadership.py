"""Who may lead: judged by a Lease as it was seen, and by our own clock only.

The clocks of two machines are never compared. A Lease has expired when this process has seen the same record for the
whole time that the record promises; a leader stops before that time has passed since it sent its last renewal, which
is earlier than anybody can have seen it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Spec = Mapping[str, Any]
"""The spec of a Lease as the API server sent it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record, and since when it has been known; in seconds of a clock that never stands still."""

    spec: Spec
    since: float


def seen(before: Sighting | None, spec: Spec, now: float) -> Sighting:
    """Return the sighting of a record that was read just now; an unchanged record keeps its time."""
    if before is not None and before.spec == spec:
        return before
    return Sighting(spec, now)


def holder(spec: Spec) -> str:
    """Return who holds a Lease; empty when it was released or never held."""
    return str(spec.get("holderIdentity") or "")


def may_take(sighting: Sighting, identity: str, now: float) -> bool:
    """Whether `identity` may take a Lease: it is its own, was released, or has expired."""
    if holder(sighting.spec) in {"", identity}:
        return True
    return now - sighting.since >= float(sighting.spec.get("leaseDurationSeconds") or 0)


def taken(spec: Spec, identity: str, duration: int, moment: str) -> dict[str, Any]:
    """Return the record by which `identity` takes a Lease, or holds it on.

    Args:
        spec: the record before; empty for a new Lease.
        identity: who takes it.
        duration: seconds for which it is promised.
        moment: the time of day, for people who read it; nothing is decided by it.
    """
    kept = holder(spec) == identity
    transitions = int(spec.get("leaseTransitions") or 0)
    return {
        **spec,
        "holderIdentity": identity,
        "leaseDurationSeconds": duration,
        "acquireTime": spec.get("acquireTime", moment) if kept else moment,
        "renewTime": moment,
        "leaseTransitions": transitions if kept or not spec else transitions + 1,
    }


def released(spec: Spec, moment: str) -> dict[str, Any]:
    """Return the record by which its holder gives a Lease back, so that another one need not wait."""
    return {**spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": moment}
