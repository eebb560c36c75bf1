"""A job whose child exists and has not ended: what is told of it while it waits or runs."""

from datetime import datetime, timedelta

from rekindle_crds import JobStatus, Phase, Progress, ProgressLine, Reason, Waiting
from rekindle_crds.exits import INPUT_FAULTS
from rekindle_operator.core.attempts import History
from rekindle_operator.core.decision import Decision, DeleteChild, ReadTrouble
from rekindle_operator.core.engine_status import measured_speed
from rekindle_operator.core.forcing import force, force_at
from rekindle_operator.core.observed import Child, Observed, Pod
from rekindle_operator.core.status import Standing, compose, waiting_for
from rekindle_operator.core.stopping import active_deadline, start_deadline
from rekindle_operator.core.waiting import STARTING_IS_NORMAL, trouble_due, waiting_for_pod

PROGRESS_PERIOD = timedelta(seconds=5)
VERDICT_PERIOD = timedelta(seconds=5)
"""How long the Job controller is given to fail a Job whose last pod has failed."""


def go_on(observed: Observed, history: History, child: Child, now: datetime) -> Decision:
    """Decide for a job whose child has not ended."""
    if _engine_changed(observed, history, child):
        return Decision(observed.status, (DeleteChild(child.name, child.uid),))
    deadlines = (start_deadline(observed, history), active_deadline(observed, history, now))
    pod = next((pod for pod in observed.pods if pod.running), None)
    decision = _not_running(observed, history, child, now) if pod is None else _running(observed, history, pod, now)
    return decision.woken(decision.wake_up_at, *deadlines)


def _running(observed: Observed, history: History, pod: Pod, now: datetime) -> Decision:
    progress, due = _progress(observed, pod, now)
    message = f"Pod {pod.name} is processing the photo."
    standing = Standing(Phase.RUNNING, Reason.RUNNING, message, progress=progress)
    return Decision(compose(observed, history, standing, now), force([pod], now)).woken(due, force_at(pod))


def _not_running(observed: Observed, history: History, child: Child, now: datetime) -> Decision:
    live = [pod for pod in observed.pods if not pod.ended]
    if child.suspended and not live:
        words = Reason.AWAITING_QUEUE_ADMISSION.meaning
        queued = waiting_for(Waiting(reason=Reason.AWAITING_QUEUE_ADMISSION, message=words))
        return Decision(compose(observed, history, queued, now))
    verdict = _verdict_due(observed, history)
    if verdict is not None and now < verdict and observed.status.phase is not None:
        return Decision(observed.status).woken(verdict)
    look_at = trouble_due(observed, child)
    if not live and look_at is not None and look_at <= now:
        return Decision(observed.status, (ReadTrouble(child.uid),))
    waiting, due = waiting_for_pod(observed, history, now)
    silent_until = _silent_until(observed, child, waiting)
    if silent_until is not None and now < silent_until:
        return Decision(observed.status).woken(silent_until, due)
    decision = Decision(compose(observed, history, waiting_for(waiting), now), force(live, now))
    return decision.woken(due, None if live else look_at, *map(force_at, live))


def _silent_until(observed: Observed, child: Child, waiting: Waiting) -> datetime | None:
    """Return until when nothing is told of a job whose first pod is being made: most run soon, which saves a write."""
    nothing_told = observed.status.phase is None and waiting.reason == Reason.WAITING_FOR_POD
    return child.created + STARTING_IS_NORMAL if nothing_told and child.created is not None else None


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
    line = observed.progress.get(pod.uid)
    if line is None:
        return written, None
    seen = Progress(
        percent=line.percent,
        stage=line.stage,
        estimated_completion_time=_estimate(observed, pod, line, written),
    )
    if written is None or seen.stage != written.stage:
        return seen, None
    if seen.percent == written.percent:
        return written, None
    due = observed.progress_written_at + PROGRESS_PERIOD if observed.progress_written_at is not None else now
    return (seen, None) if due <= now else (written, due)


def _estimate(observed: Observed, pod: Pod, line: ProgressLine, written: Progress | None) -> datetime | None:
    """Return about when a pod will be done: once known it stays, since it costs no write of its own."""
    if written is not None and written.estimated_completion_time is not None:
        return written.estimated_completion_time
    name = observed.child.engine if observed.child is not None else ""
    speed = measured_speed(observed.engines, name, observed.kind.operation)
    if speed is None or line.source_pixels is None or pod.container.started_at is None:
        return None
    return pod.container.started_at + timedelta(seconds=round(speed * line.source_pixels / 1e9))
