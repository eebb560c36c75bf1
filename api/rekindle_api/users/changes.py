"""What becomes of our row when Supabase says something of an account: one decision for every way it may come. Pure.

Notices come late, twice, in any order, or never. Of those about one account the newest record counts, and a deletion
counts for good.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from rekindle_api.users.models import AccountStatus, User
from rekindle_api.users.supabase import SupabaseUser


class Action(StrEnum):
    """What a notice did."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    NO_CHANGES = "no_changes"
    """It is the newest, and says what was known."""
    SKIPPED = "skipped"
    """It is too old, comes after the deletion, or is about somebody who is no user of ours."""
    IGNORED = "ignored"
    """It is about something else."""


@dataclass(frozen=True)
class Standing:
    """The part of a row that decisions look at; None stands for no row."""

    status: AccountStatus = AccountStatus.ACTIVE
    email: str | None = None
    email_verified_at: datetime | None = None
    first_name: str | None = None
    last_name: str | None = None
    profile_image_url: str | None = None
    profile_changed_at: datetime | None = None
    banned_until: datetime | None = None
    supabase_updated_at: datetime | None = None

    @classmethod
    def of(cls, user: User | None) -> "Standing | None":
        """Return what decisions look at of a row."""
        if user is None:
            return None
        values = {one.name: getattr(user, one.name) for one in fields(cls)}
        return cls(**{**values, "status": AccountStatus(user.status)})


@dataclass(frozen=True)
class Change:
    """The columns to set in the row, which is made if there is none; nothing when there are none to set."""

    action: Action
    values: dict[str, object] = field(default_factory=dict)


def on_record(standing: Standing | None, record: SupabaseUser, now: datetime) -> Change:
    """Decide on a record of an account: that it was made, changed, or found in a list."""
    if record.deleted_at is not None:
        return on_deletion(standing, now)
    if standing is None:
        if record.is_anonymous:
            return Change(Action.SKIPPED)
        return Change(Action.CREATED, _taken_over(Standing(), record) | {"supabase_updated_at": record.updated_at})
    if standing.status is AccountStatus.DELETED or not _is_newer(record, standing):
        return Change(Action.SKIPPED)
    differing = {
        name: value for name, value in _taken_over(standing, record).items() if value != getattr(standing, name)
    }
    # The time is kept even when nothing else differs: what is older than this record must not come after it.
    return Change(
        Action.UPDATED if differing else Action.NO_CHANGES, differing | {"supabase_updated_at": record.updated_at}
    )


def on_deletion(standing: Standing | None, now: datetime) -> Change:
    """Decide on the end of an account. Its row stays, without personal data, so that nothing brings it back."""
    if standing is not None and standing.status is AccountStatus.DELETED:
        return Change(Action.SKIPPED)
    return Change(Action.DELETED, tombstone(now))


def tombstone(now: datetime) -> dict[str, object]:
    """Return the columns of a row that is left of an account."""
    personal = ("email", "email_verified_at", "first_name", "last_name", "profile_image_url", "profile_changed_at")
    return {"status": AccountStatus.DELETED, "deleted_at": now, "banned_until": None, **dict.fromkeys(personal)}


def _taken_over(standing: Standing, record: SupabaseUser) -> dict[str, object]:
    values: dict[str, object] = {
        "email": record.email,
        "email_verified_at": record.email_verified_at,
        "banned_until": record.banned_until,
    }
    if standing.profile_changed_at is None:
        values |= {
            "first_name": record.first_name,
            "last_name": record.last_name,
            "profile_image_url": record.profile_image_url,
        }
    return values


def _is_newer(record: SupabaseUser, standing: Standing) -> bool:
    if standing.supabase_updated_at is None:
        return True
    return record.updated_at is not None and record.updated_at > standing.supabase_updated_at
