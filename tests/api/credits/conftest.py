"""Credits on a real database, without a web server."""

import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import CursorResult, text

from rekindle_api.attempts.charges import check_charges
from rekindle_api.attempts.models import AttemptStatus, RestoreAttempt
from rekindle_api.attempts.requests import AnimateRequest, RestoreRequest
from rekindle_api.attempts.service import Subject, Terms, request_animation, request_restore
from rekindle_api.attempts.states import advance
from rekindle_api.attempts.transitions import Observation, ResultKeys
from rekindle_api.credits import service
from rekindle_api.credits.models import LotSource
from rekindle_api.credits.service import Grant
from rekindle_api.database import Database, new_id
from rekindle_api.photos.models import Photo, UploadSession, photo_prefix
from rekindle_api.settings import DatabaseSettings, PlanSettings, Tier, read
from rekindle_api.users.models import User

KEYS = ResultKeys(result="a/result.jpg", manifest="a/manifest.json")


@dataclass
class Ledger:
    """What users and payments do to credits, one transaction each."""

    database: Database
    plans: PlanSettings
    subjects: dict[uuid.UUID, Subject] = field(default_factory=dict)

    async def user(self, email: str | None = None, *, verified: bool = True) -> User:
        """Return a new user who has a photo."""
        owner_id, photo_id = new_id(), new_id()
        prefix = photo_prefix(owner_id, photo_id)
        user = User(
            id=owner_id,
            supabase_user_id=uuid.uuid4(),
            email=email,
            email_verified_at=datetime.now(UTC) if verified and email else None,
        )
        photo = Photo(
            id=photo_id,
            owner_id=owner_id,
            status="ready",
            bucket="photos",
            original_key=f"{prefix}original",
            thumbnail_key=f"{prefix}thumbnail.webp",
            sha256=secrets.token_hex(32),
            size_bytes=1,
            media_type="image/jpeg",
            width=1,
            height=1,
        )
        async with self.database.transaction() as session:
            for row in (user, photo, UploadSession(id=photo_id, owner_id=owner_id)):
                session.add(row)
                await session.flush()
        self.subjects[owner_id] = Subject(photo_id, owner_id, "photos", prefix, photo.original_key)
        return user

    async def grant(self, user: User, credits_: int, days: float | None = None, **changes: Any) -> bool:
        """Give credits; by default those of a pack."""
        given = {
            "source": LotSource.TOP_UP,
            "reference": secrets.token_hex(8),
            "expires_at": None if days is None else datetime.now(UTC) + timedelta(days=days),
            "description": "A pack",
            **changes,
        }
        async with self.database.transaction() as session:
            return await service.grant(session, Grant(user_id=user.id, credits=credits_, **given))

    async def reverse(self, user: User, amount: int, **named: Any) -> bool:
        """Take back credits of a grant."""
        given = {"source": LotSource.TOP_UP, "description": "Refunded", **named}
        async with self.database.transaction() as session:
            return await service.reverse(session, user.id, amount=amount, **given)

    async def adjust(self, user: User, amount: int, reference: str | None = None) -> bool:
        """Give or take credits by hand."""
        async with self.database.transaction() as session:
            return await service.adjust(
                session, user.id, amount=amount, reason="By hand", reference=reference or secrets.token_hex(8)
            )

    async def hold(self, user: User, amount: int) -> uuid.UUID:
        """Reserve credits for an attempt that is not there."""
        attempt_id = new_id()
        async with self.database.transaction() as session:
            await service.hold(session, user.id, attempt_id, amount, "Restoration")
        return attempt_id

    async def settle(self, user: User, attempt_id: uuid.UUID, captured: int) -> None:
        """Spend or release a hold."""
        async with self.database.transaction() as session:
            await service.settle(session, user.id, attempt_id, captured)

    async def restore(self, user: User, *, colourize: bool = False, **params: Any) -> uuid.UUID:
        """Begin a restoration; equal ones are one."""
        wanted = RestoreRequest.model_validate({"params": {"colourize": colourize, **params}})
        terms = Terms(self.plans.plan(Tier.FREE), self.plans.costs)
        async with self.database.transaction() as session:
            return (await request_restore(session, self.subjects[user.id], terms, wanted)).id

    async def animate(self, user: User, restore_id: uuid.UUID | None, **params: Any) -> uuid.UUID:
        """Begin an animation; equal ones are one."""
        wanted = AnimateRequest.model_validate({"restore_id": restore_id, "params": params})
        terms = Terms(self.plans.plan(Tier.FREE), self.plans.costs)
        async with self.database.transaction() as session:
            return (await request_animation(session, self.subjects[user.id], terms, wanted)).id

    async def observe(
        self, attempt_id: uuid.UUID, status: AttemptStatus, table: type[Any] = RestoreAttempt, **seen: Any
    ) -> bool:
        """Do what the bridge does; tell whether the attempt changed."""
        keys = KEYS if status is AttemptStatus.COMPLETED else None
        async with self.database.transaction() as session:
            changed = await advance(session, table, attempt_id, Observation(status=status, keys=keys, **seen))
        return changed is not None

    async def expire(self, user: User) -> int:
        """Write expired credits off."""
        async with self.database.transaction() as session:
            return await service.expire(session, user.id)

    async def pass_by(self, user: User, days: float) -> None:
        """Let time pass for a user's lots."""
        moved = "UPDATE credit_lots SET expires_at = expires_at - make_interval(secs => :seconds) WHERE user_id = :user"
        async with self.database.transaction() as session:
            await service.lock(session, user.id)
            await session.execute(text(moved), {"seconds": days * 86400, "user": user.id})

    async def spendable(self, user: User) -> int:
        async with self.database.transaction() as session:
            return await service.spendable(session, user.id)

    async def sums(self, user: User) -> tuple[int, int, int]:
        """Return balance, what is held, and debt."""
        [row] = await self.run("SELECT balance, held, debt FROM credit_accounts WHERE user_id = :user", user=user.id)
        return (row[0], row[1], row[2])

    async def entries(self, user: User) -> list[tuple[str, int]]:
        """Return kind and amount of each entry, oldest first."""
        rows = await self.run("SELECT kind, amount FROM credit_entries WHERE user_id = :user ORDER BY id", user=user.id)
        return [(kind, amount) for kind, amount in rows]

    async def differences(self) -> list[str]:
        """Return what does not add up."""
        async with self.database.transaction() as session:
            return [*await service.check(session), *await check_charges(session)]

    async def run(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement behind everybody's back."""
        async with self.database.transaction() as session:
            result = await session.execute(text(statement), values)
            return list(result) if isinstance(result, CursorResult) and result.returns_rows else []


@pytest.fixture
async def ledger(migrated_url: str) -> AsyncIterator[Ledger]:
    """A ledger without users; whatever a test does, it adds up at the end."""
    settings = read(DatabaseSettings, {"database_url": migrated_url, "database_pool_size": 24})
    database = Database(settings)
    made = Ledger(database, read(PlanSettings))
    try:
        yield made
        assert await made.differences() == []
    finally:
        await database.close()
