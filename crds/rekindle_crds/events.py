"""The catalogue of the Events that the operator posts about jobs: one for each transition worth telling people."""

from enum import Enum
from typing import Literal

from rekindle_crds.reasons import Reason

ORDINARY = frozenset(
    {
        Reason.ACCEPTED,
        Reason.WAITING_FOR_POD,
        Reason.CONTAINER_STARTING,
        Reason.RETRYING,
        Reason.WAITING_FOR_RESTORE_JOB,
        Reason.ENGINE_FULL,
        Reason.NAMESPACE_FULL,
        Reason.AWAITING_QUEUE_ADMISSION,
        Reason.ENGINE_CHANGED,
        Reason.SUSPENDING,
        Reason.SUSPENDED,
        Reason.CANCELLING,
        Reason.START_DEADLINE_EXCEEDED,
        Reason.ACTIVE_DEADLINE_EXCEEDED,
        Reason.TOO_MANY_DISRUPTIONS,
    }
)
"""Reasons for waiting that need nobody's help, or that another Event tells: they are in the status only."""


class Announcement(Enum):
    """One kind of Event. Waits and ends have the reason that the status has; a new reason needs no new kind."""

    severity: Literal["Normal", "Warning"]
    """Type of the Event."""
    action: str
    """What the operator did or will do, as one word."""
    reason: Reason | None
    """The one reason that it has; None where it is that of the status."""
    when: str
    """Which transition it tells."""

    def __init__(self, severity: Literal["Normal", "Warning"], action: str, reason: Reason | None, when: str) -> None:
        self.severity, self.action, self.reason, self.when = severity, action, reason, when

    RUNNING = "Normal", "Run", Reason.RUNNING, "A container of the job started."
    WAITING = (
        "Warning",
        "Wait",
        None,
        "The job waits for something that does not come by itself; the reason is that of `status.waiting`.",
    )
    ATTEMPT_FAILED = (
        "Warning",
        "Retry",
        None,
        "An attempt ended without a result and another one follows; the reason is that of the attempt.",
    )
    CHILD_LOST = "Warning", "Retry", Reason.CHILD_LOST, "The child Job was deleted by somebody; another one was made."
    SUSPENDED = "Normal", "Suspend", Reason.SUSPENDED, "`spec.suspend` took effect: no pod of the job runs."
    RESUMED = "Normal", "Resume", Reason.RESUMED, "`spec.suspend` was taken back."
    SUCCEEDED = "Normal", "Finish", Reason.COMPLETED, "The job succeeded."
    CANCELLED = "Normal", "Finish", Reason.CANCELLED, "The job was cancelled."
    FAILED = "Warning", "Finish", None, "The job failed; the reason is that of its condition `Succeeded`."
