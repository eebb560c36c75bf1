"""The rows of `top`: jobs in the order that matters, and engines. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rekindle_crds import Engine, Phase
from rekindle_kubectl.jobs import Job, Json, reference
from rekindle_kubectl.words import age, reason_of, standing

JOB_TITLES = ("JOB", "PHASE", "PROGRESS", "STANDING", "ENGINE", "ATTEMPT", "PRIORITY", "AGE")
ENGINE_TITLES = ("ENGINE", "OPERATIONS", "READY", "RUNNING", "WAITING", "LIMIT", "MS/MP")

_ORDER = {
    Phase.RUNNING: 0,
    Phase.QUEUED: 1,
    Phase.PENDING: 1,
    None: 2,
    Phase.SUSPENDED: 3,
    Phase.FAILED: 4,
    Phase.CANCELLED: 4,
    Phase.SUCCEEDED: 4,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNPLACED = 1_000_000_000


@dataclass(frozen=True, slots=True)
class JobRow:
    """What is shown of a job."""

    job: str
    phase: str
    percent: int | None
    standing: str
    engine: str
    attempt: int
    priority: int
    age: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as words, under JOB_TITLES."""
        percent = "" if self.percent is None else f"{self.percent}%"
        attempt = str(self.attempt or "")
        return (self.job, self.phase, percent, self.standing, self.engine, attempt, str(self.priority), self.age)


def ordered(jobs: Iterable[Job]) -> list[Job]:
    """Return what runs first, then what waits in its order, then what ended, the latest first."""
    return sorted(jobs, key=_rank)


def _rank(job: Job) -> tuple[int, float, int, float, str]:
    status = job.status
    made = (job.metadata.creation_timestamp or _EPOCH).timestamp()
    rank = _ORDER[status.phase]
    if rank == _ORDER[Phase.RUNNING]:
        return rank, -(status.progress.percent if status.progress is not None else 0), 0, made, job.metadata.name
    if status.phase is not None and status.phase.finished:
        return rank, -(status.completion_time or _EPOCH).timestamp(), 0, made, job.metadata.name
    place = status.waiting.position if status.waiting is not None else None
    return rank, place if place is not None else _UNPLACED, -job.spec.priority, made, job.metadata.name


def job_row(job: Job, now: datetime) -> JobRow:
    """Return what is shown of a job."""
    status = job.status
    shows_progress = status.progress is not None and status.phase in {Phase.RUNNING, Phase.FAILED, Phase.CANCELLED}
    ended = status.phase in {Phase.FAILED, Phase.CANCELLED}
    reason = reason_of(job)
    return JobRow(
        job=reference(job),
        phase=status.phase.value if status.phase is not None else "New",
        percent=status.progress.percent if shows_progress and status.progress is not None else None,
        standing=("" if reason == status.phase else reason) if ended else standing(job, now),
        engine=status.engine_name or job.spec.engine_name or "",
        attempt=status.attempt or 0,
        priority=job.spec.priority,
        age=age(job.metadata.creation_timestamp, now),
    )


def engine_cells(engine: Engine) -> tuple[str, ...]:
    """Return what is shown of an engine, under ENGINE_TITLES."""
    status = engine.status
    ready = next((each for each in status.conditions if each.type == "Ready"), None)
    speeds = {speed.operation: str(speed.milliseconds_per_megapixel) for speed in status.speeds}
    return (
        engine.metadata.name + (" (default)" if engine.spec.default else ""),
        ",".join(operation.value for operation in engine.spec.operations),
        "" if ready is None else "yes" if ready.status == "True" else ready.reason,
        _number(status.running),
        _number(status.waiting),
        _number(engine.spec.max_running),
        "/".join(speeds.get(operation, "-") for operation in engine.spec.operations) if speeds else "",
    )


def as_json(jobs: Sequence[Job], engines: Sequence[Engine], now: datetime) -> Json:
    """Return the same for programs."""
    return {
        "jobs": [
            {
                "kind": job.kind,
                "name": job.metadata.name,
                "phase": row.phase,
                "percent": row.percent,
                "reason": reason_of(job),
                "position": job.status.waiting.position if job.status.waiting is not None else None,
                "engine": row.engine,
                "attempt": row.attempt,
                "priority": row.priority,
            }
            for job in jobs
            for row in [job_row(job, now)]
        ],
        "engines": [
            {
                "name": engine.metadata.name,
                "operations": [operation.value for operation in engine.spec.operations],
                "default": engine.spec.default,
                "running": engine.status.running,
                "waiting": engine.status.waiting,
                "limit": engine.spec.max_running,
                "millisecondsPerMegapixel": {
                    speed.operation.value: speed.milliseconds_per_megapixel for speed in engine.status.speeds
                },
            }
            for engine in engines
        ],
    }


def plain(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as kubectl prints one."""
    every = [titles, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(titles))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
