"""Two passes of the sweep: what is past its tier's time is hidden, and what came late by a form is deleted.

Hidden photos and results are erased like those that their owners deleted. Each pass may be killed, repeated, and run
twice at once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.attempts.models import AnimationAttempt, RestoreAttempt
from rekindle_api.audit.repository import AuditRepository
from rekindle_api.database import Database
from rekindle_api.faults import Commit, Place, at_commit, reached
from rekindle_api.photos.models import Photo, incoming_prefix
from rekindle_api.photos.retention import AnnouncedRecords, Kept, RetentionRecords
from rekindle_api.settings import PlanSettings
from rekindle_api.storage import ObjectStorage, StorageUnavailableError

_log = logging.getLogger(__name__)
_BATCH = 100


@dataclass
class Expired:
    """How much was past its time."""

    photos: int = 0
    attempts: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"expired photos={self.photos} attempts={self.attempts}"


async def expire(database: Database, plans: PlanSettings) -> Expired:
    """Hide photos and attempts that are past the time that their owner's tier keeps them."""
    expired = Expired()
    tiers = [tier for tier, plan in plans.plans.items() if plan.retention_days is not None]
    async with database.transaction() as session:
        await RetentionRecords(session, tiers).keep_due()
    while hidden := await _hide(database, tiers, Photo):
        expired.photos += hidden
    for table in (RestoreAttempt, AnimationAttempt):
        while hidden := await _hide(database, tiers, table):
            expired.attempts += hidden
    return expired


async def _hide(database: Database, tiers: Sequence[str], table: type[Kept]) -> int:
    async with database.transaction() as session:
        records, audit = RetentionRecords(session, tiers), AuditRepository(session)
        if table is Photo:
            hidden, action = await records.hide_photos(_BATCH), "photo.expired"
        else:
            hidden, action = await records.hide_attempts(table, _BATCH), "attempt.expired"
        for subject_id in hidden:
            await audit.record(action, None, subject_id)
        at_commit(session, Commit.EXPIRED_HIDDEN)
    return len(hidden)


@dataclass
class Cleared:
    """How many forms nothing can come by any more. `failures` counts what is left for the next pass."""

    forms: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"cleared forms={self.forms} failures={self.failures}"


async def clear_incoming(database: Database, storage: ObjectStorage, age: timedelta) -> Cleared:
    """Delete what came by forms that were made `age` ago, beside the photos that were made of them."""
    cleared, last = Cleared(), None
    while True:
        async with database.transaction() as session:
            page = await AnnouncedRecords(session).ready(age, last, _BATCH)
        for photo in page:
            last = photo.id
            if await _cleared(database, storage, photo):
                cleared.forms += 1
            else:
                cleared.failures += 1
        if len(page) < _BATCH:
            return cleared


async def _cleared(database: Database, storage: ObjectStorage, photo: Photo) -> bool:
    try:
        await storage.of(photo.bucket).delete_prefix(incoming_prefix(photo.owner_id, photo.id))
        reached(Place.SWEEP_FORM_CLEARED)
        async with database.transaction() as session:
            await AnnouncedRecords(session).close(photo.id)
    except (StorageUnavailableError, SQLAlchemyError) as error:
        _log.warning("not cleared", extra={"photo_id": str(photo.id), "error": str(error)})
        return False
    return True
