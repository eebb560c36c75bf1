"""The one decision: what to do for a job, given all that is observed of it.

It is level-based: it never asks what happened, only what is, and may be asked any number of times. Every branch ends in
a Decision; a fact that has to be fetched first (log lines, a confirmed absence) is itself an action, after which the
question is asked again.
"""

from datetime import datetime

from rekindle_crds import Phase, Progress, Reason, Waiting
from rekindle_operator.core.attempts import History, close_missing, history_of, message_of
from rekindle_operator.core.decision import Action, Confirm, Decision, DeleteChild, ReadTail
from rekindle_operator.core.finished import settle
from rekindle_operator.core.forcing import force, force_at
from rekindle_operator.core.observed import Observed, Pod
from rekindle_operator.core.starting import start
from rekindle_operator.core.status import Standing, compose
from rekindle_operator.core.stopping import GOES_ON, stop_reason, words_of
from rekindle_operator.core.underway import go_on
from rekindle_operator.core.verdict import given_up

_STOPPING = {Reason.CANCELLED: Reason.CANCELLING, Reason.SUSPENDED: Reason.SUSPENDING}
"""What a status says as long as something of a stopped job is left, where that is another word."""
_STOPPED = {
    Reason.CANCELLED: Phase.CANCELLED,
    Reason.SUSPENDED: Phase.SUSPENDED,
    Reason.ENGINE_CHANGED: Phase.PENDING,
}
"""Where a stopped job stands in the end; it has failed for every other reason."""


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
        return settle(observed, now)
    child = observed.child
    # A queue that took a place back may have given it again before the pod ends.
    taken_back = Reason.PREEMPTED if child is not None and (child.queued or child.suspended) else None
    history = history_of(observed.status, observed.pods, observed.tails, taken_back, now)
    stop = stop_reason(observed, history, now)
    if stop is not None:
        history = history_of(observed.status, observed.pods, observed.tails, stop, now)
    if history.untold:
        return Decision(observed.status, tuple(ReadTail(pod.name, pod.uid) for pod in history.untold))
    if history.missing:
        if not observed.confirmed:
            return Decision(observed.status, (Confirm(),))
        history = close_missing(history, observed.pods, stop or taken_back, now)
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
        return start(observed, history, now)
    return go_on(observed, history, child, now)


def _result(observed: Observed, pod: Pod) -> Standing:
    """A container that exited with 0 has done the job when it left a valid result under the job's own prefix."""
    told = message_of(pod)
    if told is None or told.result is None:
        message = f"Pod {pod.name} exited with 0 and left no valid result in its termination message."
        return Standing(Phase.FAILED, Reason.RESULT_MISSING, message, progress=observed.status.progress)
    prefix = observed.kind.output(observed.job).prefix + "/"
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
    if live or (child is not None and (stop in GOES_ON or child.deleting or not child.ended)):
        reason = _STOPPING.get(stop, stop)
        running = any(pod.running for pod in live)
        waiting = None if running else Waiting(reason=reason, message=words_of(observed, stop))
        phase = Phase.RUNNING if running else Phase.PENDING
        progress = observed.status.progress
        status = compose(observed, history, Standing(phase, reason, words_of(observed, stop), waiting, progress), now)
        deleting = child is None or child.deleting
        actions: tuple[Action, ...] = () if deleting or child is None else (DeleteChild(child.name, child.uid),)
        return Decision(status, actions + force(live, now)).woken(*map(force_at, live))
    phase = _STOPPED.get(stop, Phase.FAILED)
    settled = stop == Reason.SUSPENDED and observed.status.phase == Phase.SUSPENDED
    if child is None and not observed.confirmed and not settled:
        return Decision(observed.status, (Confirm(),))
    reason = Reason.ACCEPTED if stop == Reason.ENGINE_CHANGED else stop
    words, progress = words_of(observed, stop), observed.status.progress
    standing = Standing(phase, reason, words, progress=progress, stopped=stop in GOES_ON)
    return Decision(compose(observed, history, standing, now))


def _failed(observed: Observed, history: History, words: str, now: datetime) -> Decision:
    # The watch of Jobs may be ahead of that of pods: then the last attempt is not among the observed ones yet.
    if not observed.confirmed:
        return Decision(observed.status, (Confirm(),))
    return Decision(compose(observed, history, given_up(observed, history, words), now))


def _complete_without_pod(observed: Observed, history: History, now: datetime) -> Decision:
    if not observed.confirmed:
        return Decision(observed.status, (Confirm(),))
    message = "The child Job is complete, but its pod and so its result are gone."
    standing = Standing(Phase.FAILED, Reason.RESULT_MISSING, message, progress=observed.status.progress)
    return Decision(compose(observed, history, standing, now))
