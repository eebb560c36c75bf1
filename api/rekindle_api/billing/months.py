"""Calendar months, as Stripe counts them."""

import calendar
from datetime import datetime


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day and time so many months later; the last day of the month when it has no such day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
