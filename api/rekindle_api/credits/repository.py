"""Every query on credits. What changes an account holds its lock; `lock` comes before the locks of attempts."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.credits.ledger import HeldPart, Lot, Part
from rekindle_api.credits.models import (
    CreditAccount,
    CreditEntry,
    CreditHold,
    CreditHoldPart,
    CreditLot,
    EntryKind,
    FreeCreditClaim,
    HoldState,
    LotSource,
)
from rekindle_api.database import new_id


@dataclass(frozen=True)
class Account:
    """The sums of one user."""

    balance: int = 0
    held: int = 0
    debt: int = 0


@dataclass(frozen=True)
class Stock:
    """The lots of a user that are not empty, at a moment by the clock of the database."""

    lots: tuple[Lot, ...]
    now: datetime


@dataclass(frozen=True)
class Hold:
    """Credits that an attempt has reserved, at a moment by the clock of the database."""

    credits: int
    description: str
    parts: tuple[HeldPart, ...]
    now: datetime


@dataclass(frozen=True)
class Reversible:
    """A lot whose credits may be taken back, and how many of them at most: what expired or was taken is gone."""

    lot: Lot
    credits: int


async def users_with_expired_credits(session: AsyncSession, after: uuid.UUID | None, limit: int) -> list[uuid.UUID]:
    """Return users with unreserved credits in lots that expired, in the order of their ids, from beyond `after`."""
    wanted = (
        select(CreditLot.user_id)
        .distinct()
        .where(CreditLot.expires_at <= func.clock_timestamp(), CreditLot.remaining > CreditLot.held)
        .order_by(CreditLot.user_id)
        .limit(limit)
    )
    return list(await session.scalars(wanted if after is None else wanted.where(CreditLot.user_id > after)))


class CreditRepository:
    """The credits of one user within one transaction."""

    def __init__(self, session: AsyncSession, user_id: uuid.UUID) -> None:
        self._session = session
        self._user_id = user_id

    async def lock(self) -> Account:
        """Return the account, made when there is none; nobody else changes it before this transaction ends."""
        wanted = _ACCOUNT.where(CreditAccount.user_id == self._user_id).with_for_update()
        found = (await self._session.execute(wanted)).one_or_none()
        if found is None:
            await self._session.execute(insert(CreditAccount).values(user_id=self._user_id).on_conflict_do_nothing())
            found = (await self._session.execute(wanted)).one()
        return Account(balance=found.balance, held=found.held, debt=found.debt)

    async def account(self) -> Account:
        """Return the account as it is; an empty one when there is none."""
        found = (await self._session.execute(_ACCOUNT.where(CreditAccount.user_id == self._user_id))).one_or_none()
        return Account() if found is None else Account(balance=found.balance, held=found.held, debt=found.debt)

    async def change_account(self, *, held: int = 0, debt: int = 0) -> None:
        """Add to what is held and to what is owed."""
        await self._session.execute(
            update(CreditAccount)
            .where(CreditAccount.user_id == self._user_id)
            .values(held=CreditAccount.held + held, debt=CreditAccount.debt + debt, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def stock(self) -> Stock:
        """Return the lots that are not empty. Read after the lock, the clock shows a time after all that was locked."""
        rows = await self._session.execute(
            select(*_LOT, func.clock_timestamp()).where(CreditLot.user_id == self._user_id, CreditLot.remaining > 0)
        )
        found = rows.all()
        if not found:
            return Stock((), (await self._session.execute(select(func.clock_timestamp()))).scalar_one())
        return Stock(tuple(Lot(*row[:4]) for row in found), found[0][4])

    async def add_lot(
        self,
        source: LotSource,
        reference: str,
        *,
        granted: int,
        remaining: int,
        expires_at: datetime | None,
    ) -> uuid.UUID | None:
        """Insert a lot; None when there was a grant for this reference before."""
        made = await self._session.scalars(
            insert(CreditLot)
            .values(
                id=new_id(),
                user_id=self._user_id,
                source=source,
                source_reference=reference,
                granted=granted,
                remaining=remaining,
                expires_at=expires_at,
            )
            .on_conflict_do_nothing(index_elements=[CreditLot.source, CreditLot.source_reference])
            .returning(CreditLot.id)
        )
        return made.one_or_none()

    async def change_lot(self, lot_id: uuid.UUID, *, remaining: int = 0, held: int = 0) -> None:
        """Add to what remains of a lot and to what is held of it."""
        await self._session.execute(
            update(CreditLot)
            .where(CreditLot.id == lot_id)
            .values(remaining=CreditLot.remaining + remaining, held=CreditLot.held + held, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def add_entry(
        self,
        kind: EntryKind,
        lot_id: uuid.UUID | None,
        amount: int,
        *,
        reference: str,
        description: str,
        attempt_id: uuid.UUID | None = None,
    ) -> None:
        """Append a change of the balance; a trigger adds it to the account."""
        await self._session.execute(
            insert(CreditEntry).values(
                user_id=self._user_id,
                lot_id=lot_id,
                kind=kind,
                amount=amount,
                reference=reference,
                attempt_id=attempt_id,
                description=description,
            )
        )

    async def entered(self, kind: EntryKind, reference: str) -> list[tuple[uuid.UUID | None, int]]:
        """Return lot and amount of each of the user's entries of one kind for one reference."""
        rows = await self._session.execute(
            select(CreditEntry.lot_id, CreditEntry.amount).where(
                CreditEntry.kind == kind, CreditEntry.reference == reference, CreditEntry.user_id == self._user_id
            )
        )
        return [(lot_id, amount) for lot_id, amount in rows]

    async def entries(self, before: int | None, limit: int) -> list[tuple[CreditEntry, str | None]]:
        """Return the user's entries with the sources of their lots, newest first, from below the id `before`."""
        wanted = (
            select(CreditEntry, CreditLot.source)
            .outerjoin(CreditLot, CreditLot.id == CreditEntry.lot_id)
            .where(CreditEntry.user_id == self._user_id)
            .order_by(CreditEntry.id.desc())
            .limit(limit)
        )
        if before is not None:
            wanted = wanted.where(CreditEntry.id < before)
        return [(entry, source) for entry, source in await self._session.execute(wanted)]

    async def add_hold(self, attempt_id: uuid.UUID, credits_: int, description: str, parts: Sequence[Part]) -> None:
        """Reserve parts of lots for an attempt, in one statement."""
        values = {
            "attempt_id": attempt_id,
            "user_id": self._user_id,
            "credits": credits_,
            "description": description,
            "lots": [part.lot_id for part in parts],
            "amounts": [part.credits for part in parts],
        }
        await self._session.execute(_ADD_HOLD, values)

    async def hold_of(self, attempt_id: uuid.UUID) -> Hold | None:
        """Return what is held for an attempt; None when nothing is, or nothing any more."""
        rows = await self._session.execute(
            select(*_LOT, CreditHoldPart.credits, CreditHold.credits, CreditHold.description, func.clock_timestamp())
            .join(CreditHoldPart, CreditHoldPart.lot_id == CreditLot.id)
            .join(CreditHold, CreditHold.attempt_id == CreditHoldPart.attempt_id)
            .where(
                CreditHold.attempt_id == attempt_id,
                CreditHold.user_id == self._user_id,
                CreditHold.state == HoldState.HELD,
            )
        )
        if not (found := rows.all()):
            return None
        parts = tuple(HeldPart(Lot(*row[:4]), row[4]) for row in found)
        return Hold(credits=found[0][5], description=found[0][6], parts=parts, now=found[0][7])

    async def resolve_hold(self, attempt_id: uuid.UUID, state: HoldState) -> None:
        """Say what became of a hold."""
        await self._session.execute(
            update(CreditHold)
            .where(CreditHold.attempt_id == attempt_id)
            .values(state=state, resolved_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def reversible(self, source: LotSource, reference: str) -> Reversible | None:
        """Return a lot of the user, and how much of it may still be taken back; None when there is no such lot."""
        gone = (
            select(func.coalesce(func.sum(CreditEntry.amount), 0))
            .where(
                CreditEntry.user_id == self._user_id,
                CreditEntry.lot_id == CreditLot.id,
                or_(
                    CreditEntry.kind.in_((EntryKind.EXPIRED, EntryKind.REVERSED)),
                    and_(CreditEntry.kind == EntryKind.ADJUSTED, CreditEntry.amount < 0),
                ),
            )
            .scalar_subquery()
        )
        row = (
            await self._session.execute(
                select(*_LOT, CreditLot.granted + gone).where(
                    CreditLot.source == source,
                    CreditLot.source_reference == reference,
                    CreditLot.user_id == self._user_id,
                )
            )
        ).one_or_none()
        return None if row is None else Reversible(Lot(*row[:4]), row[4])

    async def expiry_of(self, lot_id: uuid.UUID | None) -> datetime | None:
        """Return when a lot of the user expires."""
        wanted = select(CreditLot.expires_at).where(CreditLot.id == lot_id, CreditLot.user_id == self._user_id)
        return await self._session.scalar(wanted)

    async def had_free_credits(self, email_sha256: str) -> bool:
        """Tell whether the user, or somebody with this e-mail, got free credits."""
        lot = exists().where(CreditLot.source == LotSource.FREE, CreditLot.source_reference == str(self._user_id))
        claim = exists().where(FreeCreditClaim.email_sha256 == email_sha256)
        return bool(await self._session.scalar(select(lot | claim)))

    async def claim_free_credits(self, email_sha256: str) -> bool:
        """Note that free credits are given for an e-mail; tell whether nobody had noted it before."""
        made = await self._session.scalars(
            insert(FreeCreditClaim)
            .values(email_sha256=email_sha256)
            .on_conflict_do_nothing()
            .returning(FreeCreditClaim.email_sha256)
        )
        return made.one_or_none() is not None


_ACCOUNT = select(CreditAccount.balance, CreditAccount.held, CreditAccount.debt)
_ADD_HOLD = text(
    """
    WITH part AS (
        SELECT lot_id, credits FROM unnest(CAST(:lots AS uuid[]), CAST(:amounts AS integer[])) AS part (lot_id, credits)
    ),
    hold AS (
        INSERT INTO credit_holds (attempt_id, user_id, credits, description)
        VALUES (:attempt_id, :user_id, :credits, :description)
    ),
    parts AS (
        INSERT INTO credit_hold_parts (attempt_id, lot_id, credits)
        SELECT CAST(:attempt_id AS uuid), lot_id, credits FROM part
    ),
    lots AS (
        UPDATE credit_lots SET held = held + part.credits, updated_at = now() FROM part WHERE id = part.lot_id
    )
    UPDATE credit_accounts SET held = held + :credits, updated_at = now() WHERE user_id = :user_id
    """
)
_LOT = (CreditLot.id, CreditLot.remaining, CreditLot.held, CreditLot.expires_at)
