"""The one decision: what to do for a job, given all that is observed of it.

It is level-based: it never asks what happened, only what is, and may be asked any number of times. Every branch ends in
a Decision; a fact that has to be fetched first (log lines, a confirmed absence) is itself an action, after which the
question is asked again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from rekindle_crds import JobStatus, Phase, Progress, Reason, Waiting
from rekindle_crds.exits import INPUT_FAULTS
from rekindle_operator.core.attempts import History, close_missing, history_of, message_of
from rekindle_operator.core.decision import (
    Action,
    Confirm,
    CreateChild,
    Decision,
    DeleteChild,
    ForceDeletePod,
    ReadTail,
)
from rekindle_operator.core.engines import choose
from rekindle_operator.core.observed import Child, Observed, Pod
from rekindle_operator.core.status import Standing, compose, waiting_for
from rekindle_operator.core.stopping import active_deadline, start_deadline, stop_reason, words_of
from rekindle_operator.core.waiting import waiting_for_pod

MAX_RUNS = 20
"""A job whose child Jobs are deleted again and again fails after this many."""
PROGRESS_PERIOD = timedelta(seconds=5)
VERDICT_PERIOD = timedelta(seconds=5)
"""How long the Job controller is given to fail a Job whose last pod has failed."""
FORCE_AFTER = timedelta(seconds=60)
"""How long a pod may stay Terminating past its grace period, as it does on a node that is gone."""


def reconcile(observed: Observed, now: datetime) -> Decision:
    """Decide what to do for a job.

    Args:
        observed: The job and all that belongs to it.
        now: The time of the decision; the result depends on no other clock.
    """
    now = now.replace(microsecond=0)
    if observed.metadata.deletion_timestamp is not None:
        return Decision(observed.status)
    if observed.status.phase is not None and observed.status.phase.finished:
        return _finished(observed)
    history = history_of(observed.status, observed.pods, observed.tails, None, now)
    stop = stop_reason(observed, history, now)
    if stop is not None:
        history = history_of(observed.status, observed.pods, observed.tails, stop, now)
    if history.untold:
        return Decision(observed.status, tuple(ReadTail(pod.name, pod.uid) for pod in history.untold))
    if history.missing:
        if not observed.confirmed:
            return Decision(observed.status, (Confirm(),))
        history = close_missing(history, observed.pods, stop, now)
    return _decide(observed, history, stop, now)


def _decide(observed: Observed, history: History, stop: Reason | None, now: datetime) -> Decision:
    child = observed.child
    done = next((pod for pod in observed.pods if pod.container.exit_code == 0), None)
    if done is not None:
        result = _result(observed, done)
        if stop is None or result.phase == Phase.SUCCEEDED:
            return Decision(compose(observed, history, result, now))
    if stop is not None:
        return _stop(observed, history, stop, now)
    if child is not None and child.failure is not None:
        return _failed(observed, history, child.failure, now)
    if child is not None and child.complete:
        return _complete_without_pod(observed, history, now)
    if child is None or (observed.status.run is not None and child.run < observed.status.run.number):
        return _start(observed, history, now)
    return _underway(observed, history, child, now)


def _finished(observed: Observed) -> Decision:
    """A finished job changes no more, except that it admits to have seen a changed spec.

    `kubectl wait` believes a condition only when the condition itself has seen the latest generation.
    """
    seen = {"observed_generation": observed.metadata.generation}
    conditions = [condition.model_copy(update=seen) for condition in observed.status.conditions]
    status = observed.status.model_copy(update={**seen, "conditions": conditions})
    stopped = observed.status.phase != Phase.SUCCEEDED
    left = [child for child in observed.children if stopped and not child.ended and not child.deleting]
    return Decision(status, tuple(DeleteChild(child.name, child.uid) for child in left))


def _result(observed: Observed, pod: Pod) -> Standing:
    """A container that exited with 0 has done the job when it left a valid result under the job's own prefix."""
    told = message_of(pod)
    if told is None or told.result is None:
        message = f"Pod {pod.name} exited with 0 and left no valid result in its termination message."
        return Standing(Phase.FAILED, Reason.RESULT_MISSING, message, progress=observed.status.progress)
    prefix = observed.kind.prefix(observed.job) + "/"
    keys = [told.result.manifest_key, *(output.key for output in told.result.outputs)]
    foreign = next((key for key in keys if not key.startswith(prefix)), None)
    if foreign is not None:
        message = f"Pod {pod.name} names an output that is not under spec.output.prefix: {foreign}"
        return Standing(Phase.FAILED, Reason.RESULT_MISSING, message, progress=observed.status.progress)
    progress = Progress(percent=100, stage=Reason.COMPLETED)
    return Standing(Phase.SUCCEEDED, Reason.COMPLETED, Reason.COMPLETED.meaning, progress=progress, result=told.result)


def _stop(observed: Observed, history: History, stop: Reason, now: datetime) -> Decision:
    """Log lines first, then the child, then the end: nothing that could be told is lost."""
    child, live = observed.child, [pod for pod in observed.pods if not pod.ended]
    told = {attempt.pod_uid for attempt in history.attempts if attempt.log_tail is not None}
    unread = [pod for pod in live if pod.running and pod.uid not in told]
    if unread:
        return Decision(observed.status, tuple(ReadTail(pod.name, pod.uid) for pod in unread))
    if live or (child is not None and not child.ended):
        reason = Reason.CANCELLING if stop == Reason.CANCELLED else stop
        running = any(pod.running for pod in live)
        waiting = None if running else Waiting(reason=reason, message=words_of(observed, stop))
        phase = Phase.RUNNING if running else Phase.PENDING
        progress = observed.status.progress
        status = compose(observed, history, Standing(phase, reason, words_of(observed, stop), waiting, progress), now)
        deleting = child is None or child.deleting
        actions: tuple[Action, ...] = () if deleting or child is None else (DeleteChild(child.name, child.uid),)
        return _with_wake_up(Decision(status, actions + _force(live, now)), *(_force_at(pod) for pod in live))
    if child is None and not observed.confirmed:
        return Decision(observed.status, (Confirm(),))
    phase = Phase.CANCELLED if stop == Reason.CANCELLED else Phase.FAILED
    standing = Standing(phase, stop, words_of(observed, stop), progress=observed.status.progress)
    return Decision(compose(observed, history, standing, now))


def _failed(observed: Observed, history: History, words: str, now: datetime) -> Decision:
    # The watch of Jobs may be ahead of that of pods: then the last attempt is not among the observed ones yet.
    if not observed.confirmed:
        return Decision(observed.status, (Confirm(),))
    last = history.last
    reason: str = Reason.RETRIES_EXHAUSTED
    if last is None or last.reason is None:
        message = words
    elif (last.exit_code is not None and last.exit_code in INPUT_FAULTS) or history.failures <= 1:
        reason = last.reason
        message = last.message or f"Attempt {last.number} ended with {reason}."
    else:
        message = f"{history.failures} attempts failed; the last one: {last.reason}: {last.message or words}"
    standing = Standing(Phase.FAILED, reason, message, progress=observed.status.progress)
    return Decision(compose(observed, history, standing, now))


def _complete_without_pod(observed: Observed, history: History, now: datetime) -> Decision:
    if not observed.confirmed:
        return Decision(observed.status, (Confirm(),))
    message = "The child Job is complete, but its pod and so its result are gone."
    standing = Standing(Phase.FAILED, Reason.RESULT_MISSING, message, progress=observed.status.progress)
    return Decision(compose(observed, history, standing, now))


def _start(observed: Observed, history: History, now: datetime) -> Decision:
    """There is no child: make the first one, or the next one when somebody deleted it."""
    run, last = observed.status.run, history.last
    if run is not None:
        if not observed.confirmed:
            return Decision(observed.status, (Confirm(),))
        live = [pod for pod in observed.pods if not pod.ended]
        if live:
            decision = Decision(observed.status, _force(live, now))
            return _with_wake_up(decision, *(_force_at(pod) for pod in live))
        if last is not None and last.exit_code is not None and last.exit_code in INPUT_FAULTS:
            return _failed(observed, history, "", now)
        if history.failures > observed.spec.backoff_limit or run.number >= MAX_RUNS:
            message = f"Child Job {run.name} was deleted before its end, and no retry is left."
            return Decision(compose(observed, history, Standing(Phase.FAILED, Reason.CHILD_LOST, message), now))
    standing = _admission(observed, now)
    if isinstance(standing, Standing):
        refusal = observed.refusal
        retry_at = refusal.retry_at if refusal is not None and now < refusal.retry_at else None
        decision = Decision(compose(observed, history, standing, now))
        return _with_wake_up(decision, start_deadline(observed, history), retry_at)
    action = replace(standing, backoff_limit=max(0, observed.spec.backoff_limit - history.failures))
    return Decision(observed.status, (action,))


def _admission(observed: Observed, now: datetime) -> CreateChild | Standing:
    """Return the child to make, or why none is made."""
    policy, refusal = observed.policy, observed.refusal
    foreign = observed.kind.buckets(observed.job) - policy.buckets if policy.buckets else frozenset()
    if foreign:
        message = f"The operator's settings do not allow the bucket {', '.join(sorted(foreign))}."
        return Standing(Phase.FAILED, Reason.BUCKET_NOT_ALLOWED, message)
    if refusal is not None and refusal.final:
        return Standing(Phase.FAILED, refusal.reason, refusal.message)
    engine = choose(observed.engines, observed.spec.engine_name, observed.kind.operation)
    if isinstance(engine, Waiting):
        return waiting_for(engine)
    account = engine.spec.service_account_name or "default"
    if policy.service_accounts and account not in policy.service_accounts:
        message = f"Engine {engine.metadata.name} uses the service account {account}, which is not allowed."
        return waiting_for(Waiting(reason=Reason.SERVICE_ACCOUNT_NOT_ALLOWED, message=message))
    if refusal is not None and now < refusal.retry_at:
        return waiting_for(Waiting(reason=refusal.reason, message=refusal.message))
    run = observed.status.run
    return CreateChild(run=1 if run is None else run.number + 1, engine=engine, backoff_limit=0)


def _underway(observed: Observed, history: History, child: Child, now: datetime) -> Decision:
    """The child exists and has not ended."""
    if _engine_changed(observed, history, child):
        return Decision(observed.status, (DeleteChild(child.name, child.uid),))
    deadlines = (start_deadline(observed, history), active_deadline(observed, history, now))
    pod = next((pod for pod in observed.pods if pod.running), None)
    if pod is not None:
        progress, due = _progress(observed, pod, now)
        message = f"Pod {pod.name} is processing the photo."
        standing = Standing(Phase.RUNNING, Reason.RUNNING, message, progress=progress)
        decision = Decision(compose(observed, history, standing, now), _force([pod], now))
        return _with_wake_up(decision, *deadlines, due, _force_at(pod))
    verdict = _verdict_due(observed, history)
    if verdict is not None and now < verdict and observed.status.phase is not None:
        return _with_wake_up(Decision(observed.status), *deadlines, verdict)
    waiting, due = waiting_for_pod(observed, history, now)
    live = [pod for pod in observed.pods if not pod.ended]
    decision = Decision(compose(observed, history, waiting_for(waiting), now), _force(live, now))
    return _with_wake_up(decision, *deadlines, due, *(_force_at(pod) for pod in live))


def _engine_changed(observed: Observed, history: History, child: Child) -> bool:
    """A change of engineName takes effect as long as no pod was made."""
    wanted = observed.spec.engine_name
    untouched = not observed.pods and not history.attempts and not child.deleting
    return untouched and wanted is not None and child.engine not in {"", wanted}


def _verdict_due(observed: Observed, history: History) -> datetime | None:
    """Until when the Job controller's verdict is awaited rather than a retry announced that will not come."""
    last = history.last
    if last is None or last.completion_time is None:
        return None
    hopeless = last.exit_code is not None and last.exit_code in INPUT_FAULTS
    if hopeless or history.failures > observed.spec.backoff_limit:
        return last.completion_time + VERDICT_PERIOD
    return None


def _progress(observed: Observed, pod: Pod, now: datetime) -> tuple[Progress | None, datetime | None]:
    """Return the progress to write: a new stage at once, a new percentage every five seconds."""
    status: JobStatus = observed.status
    same_pod = bool(status.attempts) and status.attempts[-1].pod_uid == pod.uid
    written = status.progress if same_pod else None
    seen = observed.progress.get(pod.uid, written)
    if seen is None or written is None or seen.stage != written.stage or seen.percent == written.percent:
        return seen, None
    due = observed.progress_written_at + PROGRESS_PERIOD if observed.progress_written_at is not None else now
    return (seen, None) if due <= now else (written, due)


def _force_at(pod: Pod) -> datetime | None:
    return None if pod.deletion is None or pod.ended else pod.deletion + FORCE_AFTER


def _force(pods: list[Pod], now: datetime) -> tuple[ForceDeletePod, ...]:
    due = [(pod, _force_at(pod)) for pod in pods]
    return tuple(ForceDeletePod(pod.name, pod.uid) for pod, at in due if at is not None and at <= now)


def _with_wake_up(decision: Decision, *moments: datetime | None) -> Decision:
    return replace(decision, wake_up_at=min((moment for moment in moments if moment is not None), default=None))
