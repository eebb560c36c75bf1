"""Which fault points the tests die at. A point of the service that is in none of these groups fails a test."""

from rekindle_api.faults import Commit, Place


def around(*commits: Commit) -> tuple[str, ...]:
    """Return the points just before and just after each of these transactions is committed."""
    return tuple(point for commit in commits for point in (commit.before, commit.after))


FIRST_CALL = around(Commit.USER_CREATED)
UPLOAD = (
    *around(Commit.UPLOAD_BEGUN, Commit.UPLOAD_READY),
    Place.UPLOAD_RECEIVED,
    Place.UPLOAD_STORED,
    Place.UPLOAD_COMPLETE,
)
ANNOUNCEMENT = around(Commit.UPLOAD_BEGUN)
FORM = (*around(Commit.UPLOAD_SETTLED, Commit.UPLOAD_READY), Place.UPLOAD_STORED, Place.UPLOAD_COMPLETE)
REFUSED_UPLOAD = (*around(Commit.UPLOAD_DISCARDED), Place.UPLOAD_CLEARED)
DELETED_PHOTO = (*around(Commit.PHOTO_DELETED), Place.PHOTO_CLEARED)
REQUEST = around(Commit.ATTEMPT_REQUESTED)
CANCELLATION = around(Commit.ATTEMPT_CANCELLED)
ACCOUNT_RECORD = around(Commit.RECORD_APPLIED, Commit.FREE_CREDITS_GRANTED)
LEAVING = around(Commit.DELETION_REQUESTED)
CREATION = (*around(Commit.ORDER_CLAIMED, Commit.ORDER_FINISHED), Place.RESOURCE_MADE)
REFUSED_ORDER = around(Commit.ORDER_POSTPONED, Commit.ORDER_PARKED)
CANCELLED_RESOURCE = (*around(Commit.ORDER_FINISHED), Place.RESOURCE_CANCELLED)
COMPLETION = (*around(Commit.ATTEMPT_ADVANCED), Place.RESULT_FOUND)
SWEPT_PHOTO = (Place.SWEEP_PHOTO_CLEARED,)
SWEPT_ATTEMPT = (Place.SWEEP_ATTEMPT_CLEARED,)
SWEPT_FORM = (Place.SWEEP_FORM_CLEARED,)
EXPIRY = around(Commit.EXPIRED_HIDDEN)
FAREWELL = (*around(Commit.ACCOUNT_ENDED, Commit.ACCOUNT_PURGED), Place.DIRECTORY_CLEARED)
STORED_EVENT = around(Commit.EVENT_STORED)
CHECKOUT = (*around(Commit.CHECKOUT_OPENED), Place.CUSTOMER_MADE, Place.CHECKOUT_MADE)
EVENT = around(Commit.EVENT_CLAIMED, Commit.EVENT_FINISHED, Commit.SESSION_APPLIED)
FAILED_EVENT = around(Commit.EVENT_POSTPONED, Commit.EVENT_PARKED)
SUBSCRIPTION = around(Commit.SUBSCRIPTION_APPLIED, Commit.INVOICE_APPLIED)
RETURNS = around(Commit.RETURNS_APPLIED)
SECOND_SUBSCRIPTION = (Place.SUBSCRIPTION_PAID_BACK, Place.SUBSCRIPTION_ENDED)

TESTED = frozenset(
    str(point)
    for group in (
        FIRST_CALL,
        UPLOAD,
        ANNOUNCEMENT,
        FORM,
        REFUSED_UPLOAD,
        DELETED_PHOTO,
        REQUEST,
        CANCELLATION,
        ACCOUNT_RECORD,
        LEAVING,
        CREATION,
        REFUSED_ORDER,
        CANCELLED_RESOURCE,
        COMPLETION,
        SWEPT_PHOTO,
        SWEPT_ATTEMPT,
        SWEPT_FORM,
        EXPIRY,
        FAREWELL,
        STORED_EVENT,
        CHECKOUT,
        EVENT,
        FAILED_EVENT,
        SUBSCRIPTION,
        RETURNS,
        SECOND_SUBSCRIPTION,
    )
    for point in group
)
"""Every point that some test dies at."""
