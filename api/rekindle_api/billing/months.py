"""Calendar months, as Stripe counts them."""

import calendar
from datetime import datetime


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day and time so many months later; the last day of the month when it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    first = moment.replace(year=year, month=month + 1, day=1)
    return first.replace(day=min(moment.day, _last_day(first)))


def month_before(end: datetime, anchor: datetime) -> datetime:
    """Return when the month that ends at `end` began, of months that keep to the day of `anchor` where there is one.

    Only the anchor tells whether the month that ends on 30 November began on the 30th or on the 31st of October. One of
    another day says nothing: then it is the same day of the month before.
    """
    begin = add_months(end, -1)
    if min(anchor.day, _last_day(end)) != end.day:
        return begin
    return begin.replace(day=min(anchor.day, _last_day(begin)))


def _last_day(moment: datetime) -> int:
    return calendar.monthrange(moment.year, moment.month)[1]
