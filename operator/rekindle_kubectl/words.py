"""Times, sizes and the standing of a job, in a few words."""

from datetime import UTC, datetime, timedelta

from rekindle_crds import Condition, Phase
from rekindle_kubectl.jobs import Job

_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def span(length: timedelta) -> str:
    """Return a length of time as kubectl writes it: 42s, 12m, 3m20s, 5h, 2d4h."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 2:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if hours < 3:
        return f"{minutes}m"
    if days < 2:
        return f"{hours}h"
    return f"{days}d"


def age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was."""
    return "" if moment is None else span(now - moment)


def size(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, ..."""
    teens = 10 < number % 100 < 14
    return f"{number}{'th' if teens else _ORDINALS.get(number % 10, 'th')}"


def condition(job: Job, kind: str) -> Condition | None:
    """Return one condition of a job."""
    return next((each for each in job.status.conditions if each.type == kind), None)


def reason_of(job: Job) -> str:
    """Return the one word for why a job is where it is; empty until the operator has seen it."""
    if job.status.waiting is not None:
        return job.status.waiting.reason
    known = condition(job, "Succeeded")
    return known.reason if known is not None else ""


def message_of(job: Job) -> str:
    """Return the sentence that goes with the reason."""
    if job.status.waiting is not None:
        return job.status.waiting.message
    known = condition(job, "Succeeded")
    return known.message if known is not None else ""


def standing(job: Job, now: datetime | None = None) -> str:
    """Return where a job stands, for example `denoise, about 20s left` or `EngineFull, 3rd in line`."""
    status = job.status
    if status.phase is None:
        return "not seen by the operator yet"
    if status.phase == Phase.SUCCEEDED:
        return ""
    if status.phase == Phase.RUNNING and status.waiting is None:
        if status.progress is None:
            return "starting"
        left = status.progress.estimated_completion_time
        told = left is not None and status.progress.percent < 100
        words = f", about {span(left - (now or datetime.now(UTC)))} left" if left is not None and told else ""
        return status.progress.stage + words
    place = status.waiting.position if status.waiting is not None else None
    return reason_of(job) + (f", {ordinal(place)} in line" if place is not None else "")
