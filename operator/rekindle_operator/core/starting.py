"""A job without a child: whether one is made now, or why not yet."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rekindle_crds import Engine, Phase, Reason, SourceLocation, Waiting
from rekindle_crds.exits import INPUT_FAULTS
from rekindle_operator.core.admission import coarse
from rekindle_operator.core.attempts import History
from rekindle_operator.core.decision import Confirm, CreateChild, Decision, ReadSource
from rekindle_operator.core.engines import choose, unfit
from rekindle_operator.core.forcing import force, force_at
from rekindle_operator.core.kinds import Upstream
from rekindle_operator.core.observed import Observed
from rekindle_operator.core.status import Standing, compose, waiting_for
from rekindle_operator.core.stopping import start_deadline
from rekindle_operator.core.upstream import source_of
from rekindle_operator.core.verdict import given_up

MAX_RUNS = 20
"""A job whose child Jobs are deleted again and again fails after this many."""
POSITION_PERIOD = timedelta(seconds=30)
SOURCE_PERIOD = timedelta(seconds=60)
"""How often the job whose result is waited for is looked for."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """All that a child is made of."""

    engine: Engine
    source: SourceLocation


def start(observed: Observed, history: History, now: datetime) -> Decision:
    """Decide for a job that has no child: the first one, or the next one after a suspension or a deletion by hand."""
    run = observed.status.run
    if run is not None:
        if not observed.confirmed:
            return Decision(observed.status, (Confirm(),))
        live = [pod for pod in observed.pods if not pod.ended]
        if live:
            return Decision(observed.status, force(live, now)).woken(*map(force_at, live))
        lost = _lost(observed, history)
        if lost is not None:
            return Decision(compose(observed, history, lost, now))
    source = source_of(observed)
    if isinstance(source, Upstream):
        return Decision(observed.status, (ReadSource(source),))
    ready = source if isinstance(source, Standing) else _ready(observed, source, now)
    if isinstance(source, SourceLocation) and observed.status.source is None and observed.upstream is not None:
        # Written before anything is made of it, so that the other job may go.
        accepted = Standing(Phase.PENDING, Reason.ACCEPTED, Reason.ACCEPTED.meaning)
        ready = replace(ready if isinstance(ready, Standing) else accepted, source=source)
    if isinstance(ready, Standing):
        return _waiting(observed, history, ready, now)
    action = CreateChild(
        run=1 if run is None else run.number + 1,
        engine=ready.engine,
        source=ready.source,
        backoff_limit=max(0, observed.spec.backoff_limit - history.failures),
    )
    return Decision(observed.status, (action,))


def _lost(observed: Observed, history: History) -> Standing | None:
    """Return how a job ends whose child is gone; None when another child takes its place."""
    run, last = observed.status.run, history.last
    if run is None:
        return None
    refused = last is not None and last.exit_code is not None and last.exit_code in INPUT_FAULTS
    spent = history.failures > observed.spec.backoff_limit
    if refused or (run.stopped and spent):
        return given_up(observed, history, "No retry is left.")
    suspensions = observed.status.suspension.count if observed.status.suspension is not None else 0
    if spent or (not run.stopped and run.number - suspensions >= MAX_RUNS):
        message = f"Child Job {run.name} was deleted before its end, and no retry is left."
        return Standing(Phase.FAILED, Reason.CHILD_LOST, message)
    return None


def _waiting(observed: Observed, history: History, standing: Standing, now: datetime) -> Decision:
    refusal = observed.refusal
    retry_at = refusal.retry_at if refusal is not None and now < refusal.retry_at else None
    # The end of the other job may have been missed: the watch of jobs shows none that has ended.
    unseen = standing.reason in {Reason.RESTORE_JOB_NOT_FOUND, Reason.WAITING_FOR_RESTORE_JOB}
    decision = Decision(compose(observed, history, standing, now))
    moves_at = now + POSITION_PERIOD if standing.phase == Phase.QUEUED else None
    return decision.woken(
        start_deadline(observed, history), retry_at, moves_at, now + SOURCE_PERIOD if unseen else None
    )


def _ready(observed: Observed, source: SourceLocation, now: datetime) -> _Ready | Standing:
    """Return what a child is made of, or why none is made. The line comes last: who stands in it lacks only a place."""
    refusal = observed.refusal
    if refusal is not None and refusal.final:
        return Standing(Phase.FAILED, refusal.reason, refusal.message)
    foreign = _foreign_buckets(observed, source)
    if foreign:
        message = f"The operator's settings do not allow the bucket {', '.join(sorted(foreign))}."
        return Standing(Phase.FAILED, Reason.BUCKET_NOT_ALLOWED, message)
    engine = choose(observed.engines, observed.spec.engine_name, observed.kind.operation)
    if isinstance(engine, Waiting):
        return waiting_for(engine)
    lack = unfit(engine, observed.policy)
    if lack is None and refusal is not None and now < refusal.retry_at:
        lack = Waiting(reason=refusal.reason, message=refusal.message)
    if lack is None and observed.turn.full is not None:
        lack = _in_line(observed, observed.turn.full, now)
    return _Ready(engine, source) if lack is None else waiting_for(lack)


def _foreign_buckets(observed: Observed, source: SourceLocation) -> frozenset[str]:
    allowed = observed.policy.buckets
    named = frozenset({source.bucket, observed.kind.output(observed.job).bucket})
    return named - allowed if allowed else frozenset()


def _in_line(observed: Observed, full: Reason, now: datetime) -> Waiting:
    """Return the wait for a place; its position is written at most every half minute."""
    written, position = observed.status.waiting, observed.turn.position
    message = full.meaning
    moved = observed.position_written_at is None or observed.position_written_at + POSITION_PERIOD <= now
    if written is not None and written.reason == full and written.position is not None and not moved:
        return written
    return Waiting(reason=full, message=message, position=None if position is None else coarse(position))
