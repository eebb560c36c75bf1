"""The history of a job's pods: which attempts there were, how each ended, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from rekindle_crds import Attempt, JobStatus, Reason, TerminationMessage
from rekindle_crds.exits import INPUT_FAULTS, reason_of
from rekindle_crds.status import MAX_ATTEMPTS, MAX_LOG_LINES
from rekindle_operator.core.observed import Pod

DISRUPTIONS = {Reason.EVICTED, Reason.PREEMPTED, Reason.NODE_LOST, Reason.DISRUPTED}
"""Why the cluster takes a pod away: that costs no retry."""
_DISRUPTED_BY = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "NodeLost": Reason.NODE_LOST,
}
"""Reasons of the pod condition DisruptionTarget; the last one is the operator's own."""
_FREE = {*DISRUPTIONS, Reason.COMPLETED, Reason.SUSPENDED, Reason.ENGINE_CHANGED}

SIGNALLED = range(129, 160)
"""Exit codes of a process that died of a signal, as shells and container runtimes count them."""


@dataclass(frozen=True, slots=True)
class History:
    """All attempts, the old ones as they were written and the new ones as they are observed."""

    attempts: tuple[Attempt, ...]
    total: int
    disruptions: int
    failures: int
    """How many ended attempts cost a retry."""
    active_seconds: int
    """Time with a running container, over all ended attempts."""
    untold: tuple[Pod, ...]
    """Pods that ended badly and whose last log lines must be read before that is recorded."""
    missing: bool
    """Whether an attempt that has not ended has no pod."""

    @property
    def last(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None


def message_of(pod: Pod) -> TerminationMessage | None:
    """Return what the engine left in the termination log; None when that is missing or not valid."""
    try:
        return TerminationMessage.model_validate_json(pod.container.termination_message)
    except ValidationError:
        return None


def ending_of(pod: Pod, stop: Reason | None) -> tuple[Reason, str]:
    """Return why a pod ended and the sentence that goes with it; `stop` is why it was deleted, where that is known."""
    told = message_of(pod)
    words = told.message if told is not None else pod.container.termination_message.strip()
    code = pod.container.exit_code
    if code is not None and (code == 0 or code in INPUT_FAULTS):
        return reason_of(code), words
    if pod.deletion is not None and stop is not None:
        return stop, words
    if pod.disruption is not None:
        word, _, message = pod.disruption.partition(": ")
        return _DISRUPTED_BY.get(word, Reason.DISRUPTED), message or word
    if pod.phase == "Failed" and pod.reason:
        return _refused_by_node(pod)
    deleted = pod.deletion is not None or (pod.gone and code is None)
    return (Reason.POD_DELETED if deleted else _exit_reason(pod, code)), words


def _refused_by_node(pod: Pod) -> tuple[Reason, str]:
    if pod.reason == "Evicted":
        scratch = "emptydir" in pod.message.lower() or "ephemeral" in pod.message.lower()
        return (Reason.SCRATCH_FULL if scratch else Reason.EVICTED), pod.message
    return Reason.NODE_REFUSED, f"{pod.reason}: {pod.message}"


def _exit_reason(pod: Pod, code: int | None) -> Reason:
    if pod.container.termination_reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY
    if code is None or code in SIGNALLED:
        return Reason.KILLED
    return reason_of(code)


def history_of(
    status: JobStatus, pods: Sequence[Pod], tails: Mapping[str, tuple[str, ...]], stop: Reason | None, now: datetime
) -> History:
    """Merge what was written with the pods that are observed.

    Args:
        status: The job's status as last written.
        pods: The observed pods, in any order.
        tails: Last log lines by pod uid, of the pods for which they were read.
        stop: Why pods are being deleted: the operator stops the job, or its queue takes the place back.
        now: Completion time of a pod that vanished without telling its own.
    """
    known = {attempt.pod_uid: attempt for attempt in status.attempts}
    total, seconds = status.attempt or 0, status.active_seconds or 0
    disruptions, failures = status.disruptions or 0, status.failures or 0
    untold: list[Pod] = []
    for pod in _relevant(status, pods):
        attempt = known.get(pod.uid)
        if attempt is None:
            total += 1
            attempt = Attempt(number=total, pod_name=pod.name, pod_uid=pod.uid)
        if pod.uid in tails and attempt.log_tail is None:
            attempt = Attempt(**dict(attempt) | {"log_tail": list(tails[pod.uid])})
        if pod.ended and attempt.reason is None:
            if _tail_needed(attempt, pod):
                untold.append(pod)
            else:
                attempt = _ended(attempt, pod, stop, now)
                disruptions += attempt.reason in DISRUPTIONS
                failures += attempt.reason not in _FREE
                seconds += _duration(attempt)
        known[pod.uid] = _started(attempt, pod)
    attempts = sorted(known.values(), key=lambda attempt: attempt.number)
    present = {pod.uid for pod in pods}
    return History(
        attempts=tuple(attempts[-MAX_ATTEMPTS:]),
        total=total,
        disruptions=disruptions,
        failures=failures,
        active_seconds=seconds,
        untold=tuple(untold),
        missing=any(attempt.reason is None and attempt.pod_uid not in present for attempt in attempts),
    )


def close_missing(history: History, pods: Sequence[Pod], stop: Reason | None, now: datetime) -> History:
    """End the attempts whose pods are confirmed to be gone; how they ended was not observed."""
    present = {pod.uid for pod in pods}
    lost = {attempt.number for attempt in history.attempts if attempt.reason is None and attempt.pod_uid not in present}
    reason = stop or Reason.POD_DELETED
    ending = {"reason": reason, "completion_time": now}
    attempts = tuple(
        attempt.model_copy(update=ending) if attempt.number in lost else attempt for attempt in history.attempts
    )
    seconds = sum(_duration(attempt) for attempt in attempts if attempt.number in lost)
    return replace(
        history,
        attempts=attempts,
        disruptions=history.disruptions + len(lost) * (reason in DISRUPTIONS),
        failures=history.failures + len(lost) * (reason not in _FREE),
        active_seconds=history.active_seconds + seconds,
        missing=False,
    )


def _relevant(status: JobStatus, pods: Sequence[Pod]) -> list[Pod]:
    """Pods that count as attempts, oldest first, without those that were dropped from a full list of attempts."""
    ordered = sorted(
        (pod for pod in pods if pod.ended or pod.container.started_at is not None),
        key=lambda pod: (pod.created, pod.name),
    )
    known = {attempt.pod_uid for attempt in status.attempts}
    if (status.attempt or 0) > len(status.attempts):
        first = next((index for index, pod in enumerate(ordered) if pod.uid in known), 0)
        return ordered[first:]
    return ordered


def _tail_needed(attempt: Attempt, pod: Pod) -> bool:
    if pod.gone or attempt.log_tail is not None or pod.container.started_at is None or pod.container.exit_code == 0:
        return False
    told = message_of(pod)
    return told is None or told.log_tail is None


def _started(attempt: Attempt, pod: Pod) -> Attempt:
    if attempt.start_time is not None:
        return attempt
    update = {"node_name": pod.node_name or attempt.node_name, "start_time": pod.container.started_at}
    # Built anew rather than copied, so that a long name is cut to what a status holds.
    return Attempt(**dict(attempt) | update)


def _ended(attempt: Attempt, pod: Pod, stop: Reason | None, now: datetime) -> Attempt:
    reason, words = ending_of(pod, stop)
    told = message_of(pod)
    lines = told.log_tail if told is not None and told.log_tail else attempt.log_tail or []
    code = pod.container.exit_code
    # Built anew for the same reason: an engine's words may be long.
    return Attempt(
        **dict(_started(attempt, pod))
        | {
            "completion_time": pod.container.finished_at or pod.deletion or now,
            "reason": reason,
            "message": words or None,
            "exit_code": code if code is None else min(max(code, 0), 255),
            "log_tail": None if reason == Reason.COMPLETED else list(lines[-MAX_LOG_LINES:]),
        }
    )


def _duration(attempt: Attempt) -> int:
    if attempt.start_time is None or attempt.completion_time is None:
        return 0
    return max(0, int((attempt.completion_time - attempt.start_time).total_seconds()))
