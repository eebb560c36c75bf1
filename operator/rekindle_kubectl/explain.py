"""Where a job stands, why, and what to do: from its status to words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rekindle_crds import AnimationJob, Attempt, Engine, Phase, Reason
from rekindle_kubectl.advice import ADVICE, RETRY, UNKNOWN, UNSEEN, Advice, Names, filled
from rekindle_kubectl.jobs import Job, reference
from rekindle_kubectl.words import age, message_of, ordinal, reason_of, size, span

_FOLLOWS_ATTEMPT = {Reason.RETRYING, Reason.RETRIES_EXHAUSTED, Reason.TOO_MANY_DISRUPTIONS, Reason.CHILD_LOST}
_FOLLOWS_UPSTREAM = {
    Reason.RESTORE_JOB_NOT_FOUND,
    Reason.WAITING_FOR_RESTORE_JOB,
    Reason.RESTORE_JOB_FAILED,
    Reason.RESTORE_JOB_CANCELLED,
    Reason.RESTORE_JOB_GONE,
}
_SHOWN_ATTEMPTS = 4
_SHOWN_LINES = 4
_SHOWN_EVENTS = 6
_NOT_SEEN = "The operator has not looked at this job yet."


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What an Event says."""

    type: str
    reason: str
    message: str
    moment: datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """A job, and what is known around it."""

    job: Job
    engine: Engine | None = None
    """The Engine that was chosen or asked for, or else the default."""
    upstream: Job | None = None
    """The RestoreJob whose result an animation is made of."""
    events: Sequence[Occurrence] = ()
    scope: str = ""
    """Options for commands, with a space before them, so that they find this namespace and cluster."""
    unread: Sequence[str] = ()
    """What could not be read, and why."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth knowing: a title, and lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a job stands, for people."""

    job: str
    phase: str
    reason: str
    headline: str
    meaning: tuple[str, ...]
    """What the reason means, and that of the attempt behind it."""
    message: str
    """The operator's words."""
    steps: tuple[str, ...]
    """What to do; a command begins with `$ `."""
    facts: tuple[Fact, ...] = ()
    upstream: "Explanation | None" = None
    """The same of the job that this one waits for."""


def explain(situation: Situation, now: datetime) -> Explanation:
    """Explain where a job stands."""
    job = situation.job
    reasons = _reasons(job)
    advice = [_advice(reason) for reason in reasons] or [UNSEEN]
    steps = [step for each in reversed(advice) for step in each.steps]
    if job.status.phase in {Phase.FAILED, Phase.CANCELLED} and advice[-1].retry:
        steps += RETRY
    message = message_of(job)
    return Explanation(
        job=reference(job),
        phase=job.status.phase.value if job.status.phase is not None else "New",
        reason=reason_of(job),
        headline=_headline(job, now),
        meaning=tuple(_meaning(reason) for reason in reasons) or (_NOT_SEEN,),
        message="" if message in {_meaning(reason) for reason in reasons} else message,
        steps=filled(tuple(dict.fromkeys(steps)), _names(situation)),
        facts=tuple(fact for fact in _facts(situation, now) if fact.lines),
        upstream=_upstream(situation, now),
    )


def _reasons(job: Job) -> list[str]:
    """Return the reason of a job and, where that only points to an attempt, the attempt's."""
    first = reason_of(job)
    if not first:
        return []
    ended = next((each for each in reversed(job.status.attempts) if each.reason is not None), None)
    follows = first in _FOLLOWS_ATTEMPT and ended is not None and ended.reason not in {None, first}
    return [first, ended.reason] if follows and ended is not None and ended.reason is not None else [first]


def _known(word: str) -> Reason | None:
    return next((reason for reason in Reason if reason == word), None)


def _meaning(word: str) -> str:
    reason = _known(word)
    return reason.meaning if reason is not None else f"{word} is a reason that this version does not know."


def _advice(word: str) -> Advice:
    reason = _known(word)
    return UNKNOWN if reason is None else ADVICE.get(reason, UNKNOWN)


def _headline(job: Job, now: datetime) -> str:
    status, metadata = job.status, job.metadata
    if metadata.deletion_timestamp is not None:
        return f"is being deleted, for {age(metadata.deletion_timestamp, now)}"
    if status.phase is None:
        return f"made {age(metadata.creation_timestamp, now)} ago, not seen by the operator yet"
    if status.phase.finished:
        ended = f"ended {age(status.completion_time, now)} ago" if status.completion_time else "ended"
        took = ""
        if status.start_time is not None and status.completion_time is not None:
            took = f", {span(status.completion_time - status.start_time)} after its first start"
        return ended + took
    if status.phase == Phase.RUNNING and status.progress is not None:
        return f"{status.progress.percent} %, {status.progress.stage}"
    place = status.waiting.position if status.waiting is not None else None
    queue = f", about {ordinal(place)} in line" if place is not None else ""
    return f"for {age(_since(job), now)}{queue}"


def _since(job: Job) -> datetime | None:
    """Return since when the job stands where it does, as well as its status tells."""
    suspension = job.status.suspension
    if suspension is not None and suspension.since is not None:
        return suspension.since
    started = [each.start_time for each in job.status.attempts if each.start_time and each.completion_time is None]
    ended = [each.completion_time for each in job.status.attempts if each.completion_time]
    return max([*started, *ended], default=job.metadata.creation_timestamp)


def _names(situation: Situation) -> Names:
    job = situation.job
    source = job.status.source or (job.spec.source if not isinstance(job, AnimationJob) else None)
    upstream, queue = "the RestoreJob", job.spec.queue_name
    where = f"s3://{source.bucket}/{source.key}" if source is not None else "its source"
    if isinstance(job, AnimationJob):
        upstream = f"rjob/{job.spec.source.restore_job_name}" if job.spec.source.restore_job_name else upstream
        if source is None and job.spec.source.bucket is not None:
            where = f"s3://{job.spec.source.bucket}/{job.spec.source.key}"
    return Names(
        job=reference(job),
        engine=_engine_name(situation) or "NAME",
        operation="Animate" if isinstance(job, AnimationJob) else "Restore",
        pod=job.status.attempts[-1].pod_name if job.status.attempts else f"-l rekindle.dev/job-uid={job.metadata.uid}",
        source=where,
        output=f"s3://{job.spec.output.bucket}/{job.spec.output.prefix}",
        queue=queue or "NAME",
        upstream=upstream,
        scope=situation.scope,
    )


def _upstream(situation: Situation, now: datetime) -> Explanation | None:
    if situation.upstream is None or reason_of(situation.job) not in _FOLLOWS_UPSTREAM:
        return None
    return explain(Situation(situation.upstream, scope=situation.scope), now)


def _facts(situation: Situation, now: datetime) -> list[Fact]:
    job = situation.job
    return [
        Fact("Notice", _notices(job)),
        Fact("Engine", _engine(situation)),
        Fact("Progress", _progress(job, now)),
        Fact("Result", _result(job)),
        Fact("Attempts", _attempts(job, now)),
        Fact("To come", _to_come(job, now)),
        Fact("Events", _events(situation.events, now)),
        Fact("Not read", tuple(situation.unread)),
    ]


def _notices(job: Job) -> tuple[str, ...]:
    """Say what was asked for and not acted on yet."""
    finished = job.status.phase is not None and job.status.phase.finished
    behind = job.status.observed_generation < job.metadata.generation and job.status.phase is not None
    if behind and not finished:
        return ("The operator has not acted on the last change of the spec yet.",)
    if job.spec.cancel and not finished and reason_of(job) != Reason.CANCELLING:
        return ("Cancel was asked for.",)
    return ()


def _engine_name(situation: Situation) -> str | None:
    job, engine = situation.job, situation.engine
    return job.status.engine_name or job.spec.engine_name or (engine.metadata.name if engine is not None else None)


def _engine(situation: Situation) -> tuple[str, ...]:
    phase, engine, name = situation.job.status.phase, situation.engine, _engine_name(situation)
    if phase is not None and phase.finished:
        return ()
    if engine is None:
        return (f"{name}: not found",) if name is not None else ()
    status, limit = engine.status, engine.spec.max_running
    ready = next((each for each in status.conditions if each.type == "Ready"), None)
    parts = [engine.metadata.name]
    if ready is not None:
        parts.append("ready" if ready.status == "True" else f"not ready ({ready.reason})")
    if status.running is not None:
        parts.append(f"{status.running} running" + (f" of at most {limit}" if limit is not None else ""))
    if status.waiting is not None:
        parts.append(f"{status.waiting} waiting")
    parts += [f"{speed.milliseconds_per_megapixel} ms/MP ({speed.operation.value})" for speed in status.speeds]
    broken = ready is not None and ready.status != "True" and ready.message
    return (", ".join(parts), *((ready.message,) if broken and ready is not None else ()))


def _progress(job: Job, now: datetime) -> tuple[str, ...]:
    progress = job.status.progress
    if progress is None or job.status.phase != Phase.RUNNING:
        return ()
    words = f"{progress.percent} %, {progress.stage}"
    if progress.estimated_completion_time is not None:
        words += f", about {span(progress.estimated_completion_time - now)} left"
    return (words,)


def _result(job: Job) -> tuple[str, ...]:
    result = job.status.result
    if result is None:
        return ()
    first, *others = result.outputs
    length = f", {first.duration_milliseconds / 1000:.1f} s" if first.duration_milliseconds is not None else ""
    beside = f"; beside it: {', '.join(each.name.value for each in others)}" if others else ""
    made = f"{result.provenance.version} on Engine {result.provenance.engine}"
    return (
        f"{first.width}x{first.height}{length}, {size(first.bytes)}, {first.media_type}, by {made}{beside}",
        f"s3://{job.spec.output.bucket}/{first.key}",
        *(f"note: {warning}" for warning in result.warnings),
    )


def _attempts(job: Job, now: datetime) -> tuple[str, ...]:
    """Tell the last attempts, and how many retries are left."""
    status = job.status
    lines: list[str] = []
    hidden = (status.attempt or 0) - len(status.attempts[-_SHOWN_ATTEMPTS:])
    if hidden > 0 and status.attempts:
        lines.append(f"({hidden} earlier)")
    for attempt in status.attempts[-_SHOWN_ATTEMPTS:]:
        lines += _attempt(attempt, now)
    finished = status.phase is not None and status.phase.finished
    if status.attempts and status.phase != Phase.SUCCEEDED:
        # A failure is followed by a retry, but for the one that ends the job.
        retries = max(0, (status.failures or 0) - finished)
        lines.append(f"{min(retries, job.spec.backoff_limit)} of {job.spec.backoff_limit} retries used")
    if status.disruptions:
        lines[-1] += f"; {status.disruptions} disrupted, which cost no retry"
    return tuple(lines)


def _attempt(attempt: Attempt, now: datetime) -> list[str]:
    where = f" on {attempt.node_name}" if attempt.node_name else ""
    if attempt.reason is None:
        return [f"#{attempt.number} running for {age(attempt.start_time, now)}{where} (pod {attempt.pod_name})"]
    code = f" (exit code {attempt.exit_code})" if attempt.exit_code is not None else ""
    took = ""
    if attempt.start_time is not None and attempt.completion_time is not None:
        took = f" after {span(attempt.completion_time - attempt.start_time)}"
    message = f": {attempt.message}" if attempt.message else ""
    tail = (attempt.log_tail or [])[-_SHOWN_LINES:]
    return [f"#{attempt.number} {attempt.reason}{code}{took}{where}{message}", *(f"   | {line}" for line in tail)]


def _to_come(job: Job, now: datetime) -> tuple[str, ...]:
    """Tell the deadlines that are running, and when the job is deleted."""
    spec, status = job.spec, job.status
    if status.phase is not None and status.phase.finished:
        good = status.phase == Phase.SUCCEEDED
        seconds = spec.ttl_seconds_after_succeeded if good else spec.ttl_seconds_after_failed
        if seconds is None or status.completion_time is None:
            return ()
        return (f"deleted in {span(status.completion_time + timedelta(seconds=seconds) - now)} (time to live)",)
    lines = []
    stopped = " (stands still while suspended)" if status.suspension is not None and status.suspension.since else ""
    if spec.start_deadline_seconds is not None and status.start_time is None and job.metadata.creation_timestamp:
        waited = now - job.metadata.creation_timestamp - _suspended(job, now)
        left = timedelta(seconds=spec.start_deadline_seconds) - waited
        lines.append(f"given up in {span(left)} when no container has started{stopped}")
    if spec.active_deadline_seconds is not None:
        running = [each.start_time for each in status.attempts if each.start_time and each.reason is None]
        used = sum((now - start for start in running), timedelta(seconds=status.active_seconds or 0))
        left = timedelta(seconds=spec.active_deadline_seconds) - used
        lines.append(f"given up after {span(left)} more with a running container")
    return tuple(lines)


def _suspended(job: Job, now: datetime) -> timedelta:
    suspension = job.status.suspension
    if suspension is None:
        return timedelta()
    lasting = now - suspension.since if suspension.since is not None else timedelta()
    return timedelta(seconds=suspension.seconds) + lasting


def _events(events: Sequence[Occurrence], now: datetime) -> tuple[str, ...]:
    known = sorted((each for each in events if each.moment is not None), key=lambda each: each.moment or now)
    return tuple(
        f"{age(each.moment, now) + ' ago':<10}{each.reason}: {each.message}" for each in known[-_SHOWN_EVENTS:]
    )
