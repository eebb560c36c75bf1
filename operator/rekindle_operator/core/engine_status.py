"""The status of an Engine: whether jobs can use it, how many do, and how fast it was of late."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rekindle_crds import Condition, Engine, Operation, Reason, Speed
from rekindle_crds.engine import EngineStatus

_WEIGHT = 0.2
"""Share of the newest result in the measured speed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How many jobs use an Engine now, and how many wait for it."""

    running: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that an Engine names and that is not there or not allowed."""

    reason: Reason
    message: str


def engine_status(
    engine: Engine, usage: Usage, lacks: Sequence[Lack], speeds: Mapping[Operation, float], now: datetime
) -> EngineStatus:
    """Return the whole status of an Engine.

    Args:
        engine: The Engine, with its status as last written.
        usage: How many jobs use it.
        lacks: What it names and lacks.
        speeds: Milliseconds per megapixel by operation, as measured by this operator; others stay as they are.
        now: Time of a condition that changes.
    """
    before = {speed.operation: speed.milliseconds_per_megapixel for speed in engine.status.speeds}
    measured = before | {operation: round(speed) for operation, speed in speeds.items()}
    return EngineStatus(
        observed_generation=engine.metadata.generation,
        conditions=[_ready(engine, lacks, now)],
        running=usage.running,
        waiting=usage.waiting,
        speeds=[Speed(operation=name, milliseconds_per_megapixel=speed) for name, speed in sorted(measured.items())],
    )


def faster_or_slower(before: float | None, milliseconds: int, pixels: int) -> float:
    """Return the measured milliseconds per megapixel after one more result: an exponentially weighted mean."""
    latest = milliseconds / max(pixels, 1) * 1e6
    return latest if before is None else (1 - _WEIGHT) * before + _WEIGHT * latest


def measured_speed(engines: Iterable[Engine], name: str, operation: Operation) -> int | None:
    """Return the milliseconds per megapixel that the status of an Engine tells; None when nothing was measured."""
    speeds = next((engine.status.speeds for engine in engines if engine.metadata.name == name), [])
    return next((speed.milliseconds_per_megapixel for speed in speeds if speed.operation == operation), None)


def _ready(engine: Engine, lacks: Sequence[Lack], now: datetime) -> Condition:
    known = next((condition for condition in engine.status.conditions if condition.type == "Ready"), None)
    first = lacks[0] if lacks else Lack(Reason.ENGINE_READY, Reason.ENGINE_READY.meaning)
    truth = "False" if lacks else "True"
    return Condition(
        type="Ready",
        status=truth,
        reason=first.reason,
        message=" ".join(lack.message for lack in lacks) or first.message,
        last_transition_time=known.last_transition_time if known is not None and known.status == truth else now,
        observed_generation=engine.metadata.generation,
    )
