"""Decides which events a stream sends, from what the tables hold. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi.sse import ServerSentEvent

from rekindle_api.attempts.models import AttemptStatus, RestoreAttempt

RECONNECT_MILLISECONDS = 3000


@dataclass(frozen=True)
class AttemptView:
    """What streams tell of one attempt to restore."""

    id: uuid.UUID
    job_id: uuid.UUID
    version: int
    status: AttemptStatus
    percent: int | None
    stage: str | None
    reason: str | None
    message: str | None
    changed_at: datetime

    @property
    def event_id(self) -> str:
        """Names this state of the attempt; a client that reconnects sends back the last it saw."""
        return f"{self.id}:{self.version}"


State = Mapping[uuid.UUID, AttemptView]


def view(attempt: RestoreAttempt) -> AttemptView:
    """Return what streams tell of an attempt."""
    return AttemptView(
        id=attempt.id,
        job_id=attempt.job_id,
        version=attempt.version,
        status=AttemptStatus(attempt.status),
        percent=attempt.progress_percent,
        stage=attempt.progress_stage,
        reason=attempt.reason,
        message=attempt.message,
        changed_at=attempt.updated_at,
    )


def opening(job_id: uuid.UUID, state: State, last_event_id: str | None) -> list[ServerSentEvent]:
    """Return what a new stream begins with: everything as it stands, then, if nothing runs, how the last one ended.

    A client that saw that end already, by its last event id, does not get it again.
    """
    attempts = list(state.values())
    events = [
        ServerSentEvent(
            event="snapshot",
            data={"job_id": str(job_id), "attempts": [_progress_data(item) for item in attempts]},
            retry=RECONNECT_MILLISECONDS,
        )
    ]
    if attempts and all(item.status.finished for item in attempts):
        last = max(attempts, key=lambda item: item.changed_at)
        if last.event_id != last_event_id:
            events.append(_completed(last))
    return events


def following(before: State, after: State) -> list[ServerSentEvent]:
    """Return the events between two states, for each attempt at most one: states in between were passed over."""
    events: list[ServerSentEvent] = []
    for attempt in after.values():
        earlier = before.get(attempt.id)
        if earlier is not None and earlier.version >= attempt.version:
            continue
        if not attempt.status.finished:
            events.append(_event("progress", attempt, _progress_data(attempt)))
        elif earlier is None or not earlier.status.finished:
            events.append(_completed(attempt))
    return events


def states_by_job(attempts: Sequence[RestoreAttempt]) -> dict[uuid.UUID, dict[uuid.UUID, AttemptView]]:
    """Return the state of each upload session; its attempts keep their order."""
    found: dict[uuid.UUID, dict[uuid.UUID, AttemptView]] = {}
    for attempt in attempts:
        found.setdefault(attempt.job_id, {})[attempt.id] = view(attempt)
    return found


def _completed(attempt: AttemptView) -> ServerSentEvent:
    done = attempt.status is AttemptStatus.COMPLETED
    data = {
        "job_id": str(attempt.job_id),
        "restore_id": str(attempt.id),
        "status": "completed" if done else "failed",
        "reason": attempt.reason,
        "message": attempt.message,
    }
    return _event("completed", attempt, data)


def _progress_data(attempt: AttemptView) -> dict[str, Any]:
    return {
        "job_id": str(attempt.job_id),
        "restore_id": str(attempt.id),
        "status": attempt.status,
        "percent": attempt.percent,
        "stage": attempt.stage,
        "reason": attempt.reason,
        "message": attempt.message,
    }


def _event(name: str, attempt: AttemptView, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(event=name, id=attempt.event_id, data=data)
