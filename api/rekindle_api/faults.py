"""Places at which a process can be told to die, so that tests prove that a second try is safe.

REKINDLE_FAULT_POINT names one of `FAULT_POINTS`, optionally with the number of the visit, as in `upload.stored:2`; the
process kills itself there as SIGKILL would. Production refuses to start with it.
"""

import os
import signal
from collections import Counter
from enum import StrEnum

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.settings import FAULT_VARIABLE

_visits: Counter[str] = Counter()


class Place(StrEnum):
    """Between two effects of which no transaction makes one."""

    UPLOAD_RECEIVED = "upload.received"
    """Every byte arrived, and the parts of a large photo are in S3; no object is made of them yet."""
    UPLOAD_STORED = "upload.stored"
    """The original is in S3; its thumbnail is not, and its row is pending."""
    UPLOAD_COMPLETE = "upload.complete"
    """Both objects are in S3; the row is pending."""
    UPLOAD_CLEARED = "upload.cleared"
    """What a refused upload left is gone from S3; its row is not."""
    PHOTO_CLEARED = "photo.cleared"
    """The objects of a deleted photo are gone; its row is hidden."""
    RESOURCE_MADE = "resource.made"
    """Kubernetes has the resource; the order for it is still there."""
    RESOURCE_CANCELLED = "resource.cancelled"
    """Kubernetes knows of the cancellation; the order for it is still there."""
    RESULT_FOUND = "result.found"
    """The manifest and the outputs were seen; the attempt is open."""
    SWEEP_PHOTO_CLEARED = "sweep.photo_cleared"
    """The sweep deleted the objects of a photo; its rows are there."""
    SWEEP_ATTEMPT_CLEARED = "sweep.attempt_cleared"
    """The sweep deleted the objects of an attempt; its row is there."""
    SWEEP_FORM_CLEARED = "sweep.form_cleared"
    """The sweep deleted what came by a form; its row does not say so yet."""
    DIRECTORY_CLEARED = "directory.cleared"
    """Supabase deleted the account of somebody who left; the row does not say so yet."""
    CUSTOMER_MADE = "customer.made"
    """Stripe has the customer; the user's row does not name it."""
    CHECKOUT_MADE = "checkout.made"
    """Stripe has the Checkout session; no row names it."""
    SUBSCRIPTION_PAID_BACK = "subscription.paid_back"
    """A second subscription is paid back; Stripe still has it."""
    SUBSCRIPTION_ENDED = "subscription.ended"
    """Stripe ended a second subscription; its row says that it lives."""


class Commit(StrEnum):
    """A transaction: the process can die just before it is committed, and just after."""

    USER_CREATED = "user.created"
    RECORD_APPLIED = "record.applied"
    FREE_CREDITS_GRANTED = "free_credits.granted"
    DELETION_REQUESTED = "deletion.requested"
    ACCOUNT_ENDED = "account.ended"
    ACCOUNT_PURGED = "account.purged"
    UPLOAD_BEGUN = "upload.begun"
    UPLOAD_SETTLED = "upload.settled"
    UPLOAD_READY = "upload.ready"
    UPLOAD_DISCARDED = "upload.discarded"
    PHOTO_DELETED = "photo.deleted"
    EXPIRED_HIDDEN = "expired.hidden"
    ATTEMPT_REQUESTED = "attempt.requested"
    ATTEMPT_CANCELLED = "attempt.cancelled"
    ATTEMPT_ADVANCED = "attempt.advanced"
    ORDER_CLAIMED = "order.claimed"
    ORDER_FINISHED = "order.finished"
    ORDER_POSTPONED = "order.postponed"
    ORDER_PARKED = "order.parked"
    CHECKOUT_OPENED = "checkout.opened"
    EVENT_STORED = "event.stored"
    EVENT_CLAIMED = "event.claimed"
    EVENT_FINISHED = "event.finished"
    EVENT_POSTPONED = "event.postponed"
    EVENT_PARKED = "event.parked"
    SUBSCRIPTION_APPLIED = "subscription.applied"
    INVOICE_APPLIED = "invoice.applied"
    SESSION_APPLIED = "session.applied"
    RETURNS_APPLIED = "returns.applied"

    @property
    def before(self) -> str:
        """The fault point just before it is committed."""
        return f"{self}.uncommitted"

    @property
    def after(self) -> str:
        """The fault point just after it was committed."""
        return f"{self}.committed"


FAULT_POINTS: tuple[str, ...] = (
    *(str(place) for place in Place),
    *(point for commit in Commit for point in (commit.before, commit.after)),
)
"""Every name that the variable may hold."""


def reached(place: Place) -> None:
    """Die here when the environment says so; do nothing otherwise."""
    _die_at(place)


def at_commit(session: AsyncSession, commit: Commit) -> None:
    """Die just before or just after this transaction is committed when the environment says so."""
    if FAULT_VARIABLE not in os.environ:
        return
    event.listen(session.sync_session, "before_commit", lambda _: _die_at(commit.before), once=True)
    event.listen(session.sync_session, "after_commit", lambda _: _die_at(commit.after), once=True)


def _die_at(point: str) -> None:
    wanted, _, visit = os.environ.get(FAULT_VARIABLE, "").partition(":")
    if wanted != point:
        return
    _visits[point] += 1
    if _visits[point] == int(visit or 1):
        os.kill(os.getpid(), signal.SIGKILL)
