"""Decides which events a stream sends, from what the tables hold. Pure."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rekindle_api.attempts.models import Attempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.replies import result_download
from rekindle_api.outbox.models import AttemptKind
from rekindle_api.storage import Download

NAMES = (
    "snapshot",
    "progress",
    "completed",
    "animation_progress",
    "animation_completed",
    "animation_failed",
)
"""Every event that a stream may send."""


@dataclass(frozen=True)
class AttemptView:
    """What streams tell of one attempt."""

    kind: AttemptKind
    id: uuid.UUID
    job_id: uuid.UUID
    version: int
    status: AttemptStatus
    percent: int | None
    stage: str | None
    reason: str | None
    message: str | None
    changed_at: datetime
    result: Download | None

    @property
    def event_id(self) -> str:
        """Names this state of the attempt; a client that reconnects sends back the last it saw."""
        return f"{self.id}:{self.version}"


State = Mapping[uuid.UUID, AttemptView]


@dataclass(frozen=True)
class Message:
    """One event before it is sent. `video` is the download whose signed address goes into its data as `video_url`."""

    name: str
    data: dict[str, Any]
    id: str | None = None
    video: Download | None = None


def view(attempt: Attempt, *, watermarked: bool) -> AttemptView:
    """Return what streams tell of an attempt, by the watermark rule of its owner's tier."""
    return AttemptView(
        kind=AttemptKind.RESTORE if isinstance(attempt, RestoreAttempt) else AttemptKind.ANIMATION,
        id=attempt.id,
        job_id=attempt.job_id,
        version=attempt.version,
        status=AttemptStatus(attempt.status),
        percent=attempt.progress_percent,
        stage=attempt.progress_stage,
        reason=attempt.reason,
        message=attempt.message,
        changed_at=attempt.updated_at,
        result=result_download(attempt, watermarked=watermarked),
    )


def opening(job_id: uuid.UUID, state: State, last_event_id: str | None) -> list[Message]:
    """Return what a new stream begins with: everything as it stands, then, if nothing runs, the last end of each kind.

    A client that saw an end already, by its last event id, does not get it again.
    """
    attempts = list(state.values())
    told = {kind: [_progress_data(attempt) for attempt in attempts if attempt.kind is kind] for kind in AttemptKind}
    snapshot = {
        "job_id": str(job_id),
        "attempts": told[AttemptKind.RESTORE],
        "animations": told[AttemptKind.ANIMATION],
    }
    messages = [Message("snapshot", snapshot)]
    if all(attempt.status.finished for attempt in attempts):
        messages += [_end(attempt) for attempt in _unseen(_last_of_each_kind(attempts), last_event_id)]
    return messages


def following(before: State, after: State) -> list[Message]:
    """Return the events between two states, for each attempt at most one: states in between were passed over."""
    messages: list[Message] = []
    for attempt in after.values():
        earlier = before.get(attempt.id)
        if earlier is not None and earlier.version >= attempt.version:
            continue
        if not attempt.status.finished:
            name = "progress" if attempt.kind is AttemptKind.RESTORE else "animation_progress"
            messages.append(Message(name, _progress_data(attempt), attempt.event_id))
        elif earlier is None or not earlier.status.finished:
            messages.append(_end(attempt))
    return messages


def states_by_job(
    attempts: Iterable[Attempt], watermarked: Collection[uuid.UUID]
) -> dict[uuid.UUID, dict[uuid.UUID, AttemptView]]:
    """Return the state of each upload session; its attempts keep their order.

    `watermarked` names the owners who see results under a watermark.
    """
    found: dict[uuid.UUID, dict[uuid.UUID, AttemptView]] = {}
    for attempt in attempts:
        found.setdefault(attempt.job_id, {})[attempt.id] = view(attempt, watermarked=attempt.owner_id in watermarked)
    return found


def _last_of_each_kind(attempts: Iterable[AttemptView]) -> list[AttemptView]:
    """Return the newest end of each kind, in the order in which they happened."""
    ordered = sorted(attempts, key=lambda attempt: attempt.changed_at)
    return sorted({attempt.kind: attempt for attempt in ordered}.values(), key=lambda attempt: attempt.changed_at)


def _unseen(ends: list[AttemptView], last_event_id: str | None) -> list[AttemptView]:
    """Return the ends after the one that the client saw last; all of them when that was none of these."""
    seen = next((number for number, end in enumerate(ends, 1) if end.event_id == last_event_id), 0)
    return ends[seen:]


def _end(attempt: AttemptView) -> Message:
    done = attempt.status is AttemptStatus.COMPLETED
    data = {
        **_names(attempt),
        "status": "completed" if done else "failed",
        "reason": attempt.reason,
        "message": attempt.message,
    }
    if attempt.kind is AttemptKind.RESTORE:
        return Message("completed", data, attempt.event_id)
    if done:
        return Message("animation_completed", data, attempt.event_id, attempt.result)
    return Message("animation_failed", {**data, "error": attempt.message or attempt.reason}, attempt.event_id)


def _progress_data(attempt: AttemptView) -> dict[str, Any]:
    return {
        **_names(attempt),
        "status": attempt.status,
        "percent": attempt.percent,
        "stage": attempt.stage,
        "reason": attempt.reason,
        "message": attempt.message,
    }


def _names(attempt: AttemptView) -> dict[str, str]:
    own = "restore_id" if attempt.kind is AttemptKind.RESTORE else "animation_id"
    return {"job_id": str(attempt.job_id), own: str(attempt.id)}
