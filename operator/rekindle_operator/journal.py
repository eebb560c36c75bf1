"""Telling of what happened to a job: an Event for people, figures for Prometheus, and one line in the log."""

import logging

from rekindle_crds import JobStatus, ObjectMeta
from rekindle_operator.core.events import notices
from rekindle_operator.core.observed import Observed
from rekindle_operator.emitter import Emitter
from rekindle_operator.jsonlog import about
from rekindle_operator.metrics import Metrics

logger = logging.getLogger(__name__)


class Journal:
    """Tells of a transition once, after it was written: by an Event, by metrics and by a log line."""

    def __init__(self, emitter: Emitter, metrics: Metrics) -> None:
        self._emitter = emitter
        self._metrics = metrics

    def tell(self, observed: Observed, status: JobStatus) -> None:
        """Tell what changed between the observed status of a job and the one that was written."""
        kind, metadata, before = observed.kind.kind, observed.metadata, observed.status
        for notice in notices(before, status):
            self._emitter.emit(kind, metadata, notice)
        self._count(kind, metadata, before, status)
        if before.phase != status.phase or before.waiting != status.waiting:
            words = about(kind, metadata.namespace, metadata.name, metadata.uid)
            logger.info("job moved", extra={**words, "phase": _phase(status), "reason": _reason(status)})

    def _count(self, kind: str, metadata: ObjectMeta, before: JobStatus, after: JobStatus) -> None:
        self._metrics.status_writes.labels(kind).inc()
        ended = {attempt.pod_uid for attempt in before.attempts if attempt.reason is not None}
        for attempt in after.attempts:
            if attempt.reason is not None and attempt.pod_uid not in ended:
                self._metrics.attempts.labels(kind, attempt.reason).inc()
        if after.phase is not None and after.phase.finished and after.phase != before.phase:
            self._count_end(kind, metadata, after)

    def _count_end(self, kind: str, metadata: ObjectMeta, status: JobStatus) -> None:
        phase = _phase(status)
        self._metrics.jobs_finished.labels(kind, phase, _reason(status)).inc()
        created, started, completed = metadata.creation_timestamp, status.start_time, status.completion_time
        if created is not None and started is not None:
            self._metrics.wait_seconds.labels(kind, phase).observe(max(0.0, (started - created).total_seconds()))
            self._metrics.run_seconds.labels(kind, phase).observe(status.active_seconds or 0)
        if created is not None and completed is not None:
            self._metrics.total_seconds.labels(kind, phase).observe(max(0.0, (completed - created).total_seconds()))


def _phase(status: JobStatus) -> str:
    return "" if status.phase is None else status.phase.value


def _reason(status: JobStatus) -> str:
    return next((condition.reason for condition in status.conditions if condition.type == "Succeeded"), "")
