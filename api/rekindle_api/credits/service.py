"""What can be done with credits. Each call joins the caller's transaction, and locks the user's account first of all.

After it the caller may lock attempts; photos only before it. What is asked for twice for one reference is done once.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.credits import ledger
from rekindle_api.credits.checks import Checks
from rekindle_api.credits.errors import CreditsOwedError, InsufficientCreditsError, LotNotFoundError
from rekindle_api.credits.models import EntryKind, HoldState, LotSource
from rekindle_api.credits.repository import CreditRepository
from rekindle_api.faults import Commit, at_commit
from rekindle_api.settings import PlanSettings, Tier
from rekindle_api.users.models import User


@dataclass(frozen=True)
class Grant:
    """Credits for a user. There is one grant for each reference of a source; it pays what the user owes first."""

    user_id: uuid.UUID
    source: LotSource
    reference: str
    """What is granted for: an invoice, a checkout session, a user."""
    credits: int
    expires_at: datetime | None
    """When what is left of them is lost; never when null."""
    description: str
    """What the user reads in the history."""


async def ensure_account(session: AsyncSession, user: User, plans: PlanSettings) -> None:
    """Give a user the free credits, once for each verified e-mail: to be called whenever one may have become known.

    The account itself is made by whatever first changes it.
    """
    free = plans.plan(Tier.FREE).credits
    if not free or not user.email or user.email_verified_at is None:
        return
    email_sha256 = hashlib.sha256(user.email.strip().lower().encode()).hexdigest()
    repository = CreditRepository(session, user.id)
    if await repository.had_free_credits(email_sha256):
        return
    await repository.lock()
    # Asked again: the lock may have waited for the same call of another request.
    if await repository.had_free_credits(email_sha256) or not await repository.claim_free_credits(email_sha256):
        return
    await grant(session, Grant(user.id, LotSource.FREE, str(user.id), free, None, "Free credits"))
    at_commit(session, Commit.FREE_CREDITS_GRANTED)


async def lock(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Lock a user's credits until the transaction ends: before any attempt of theirs is locked or changed."""
    await CreditRepository(session, user_id).lock()


async def hold(session: AsyncSession, user_id: uuid.UUID, attempt_id: uuid.UUID, amount: int, description: str) -> None:
    """Reserve credits for an attempt, of the lots that expire first. The history gets `description` if they are spent.

    Raises:
        CreditsOwedError: the user owes credits, and has too few beyond that.
        InsufficientCreditsError: the user has fewer.
    """
    if amount == 0:
        return
    repository = CreditRepository(session, user_id)
    account = await repository.lock()
    stock = await repository.stock()
    available = ledger.spendable(stock.lots, account.debt, stock.now)
    if available < amount:
        if account.debt:
            raise CreditsOwedError(amount, account.debt)
        raise InsufficientCreditsError(amount, available)
    await repository.add_hold(attempt_id, amount, description, ledger.allocate(stock.lots, amount, stock.now))


async def settle(session: AsyncSession, user_id: uuid.UUID, attempt_id: uuid.UUID, captured: int) -> None:
    """Spend `captured` of the credits that an attempt reserved, and let go of the others. It is done once.

    What comes back to a lot that expired meanwhile is given anew, for a few days.

    Raises:
        ValueError: the attempt reserved fewer.
    """
    repository = CreditRepository(session, user_id)
    await repository.lock()
    held = await repository.hold_of(attempt_id)
    if held is None:
        return
    settlement = ledger.settle(held.parts, captured, held.now)
    reference = str(attempt_id)
    for part in settlement.spent:
        await repository.change_lot(part.lot_id, remaining=-part.credits, held=-part.credits)
        await repository.add_entry(
            EntryKind.SPENT,
            part.lot_id,
            -part.credits,
            reference=reference,
            description=held.description,
            attempt_id=attempt_id,
        )
    for part in settlement.released:
        await repository.change_lot(part.lot_id, held=-part.credits)
    for part in settlement.lapsed:
        await repository.change_lot(part.lot_id, remaining=-part.credits, held=-part.credits)
        await repository.add_entry(
            EntryKind.EXPIRED,
            part.lot_id,
            -part.credits,
            reference=reference,
            description="Expired",
            attempt_id=attempt_id,
        )
    await repository.change_account(held=-held.credits)
    await repository.resolve_hold(attempt_id, HoldState.CAPTURED if captured else HoldState.RELEASED)
    if lapsed := sum(part.credits for part in settlement.lapsed):
        until = held.now + ledger.RETURN_PERIOD
        await grant(session, Grant(user_id, LotSource.RETURNED, reference, lapsed, until, "Returned credits"))


async def grant(session: AsyncSession, granted: Grant) -> bool:
    """Give credits; return False when they were given for this reference before."""
    return await _add(session, granted, EntryKind.GRANTED)


async def reverse(
    session: AsyncSession,
    user_id: uuid.UUID,
    *,
    source: LotSource,
    source_reference: str,
    amount: int,
    reference: str,
    description: str,
) -> bool:
    """Take back credits of one grant, because its payment was refunded or disputed. What is spent already is owed.

    No more is taken than was granted, less what expired or was taken before, by hand too. Return False when it was done
    for this `reference` before.

    Raises:
        LotNotFoundError: there was no such grant.
    """
    repository = CreditRepository(session, user_id)
    await repository.lock()
    if await repository.entered(EntryKind.REVERSED, reference):
        return False
    found = await repository.reversible(source, source_reference)
    if found is None:
        raise LotNotFoundError(f"no {source} lot for {source_reference}")
    if (due := min(amount, found.credits)) <= 0:
        return False
    taken = min(due, found.lot.free)
    await repository.change_lot(found.lot.id, remaining=-taken)
    await repository.change_account(debt=due - taken)
    await repository.add_entry(EntryKind.REVERSED, found.lot.id, -due, reference=reference, description=description)
    return True


async def reversible(session: AsyncSession, user_id: uuid.UUID, source: LotSource, source_reference: str) -> int:
    """Return how many credits of one grant `reverse` would still take; 0 when there was no such grant."""
    repository = CreditRepository(session, user_id)
    await repository.lock()
    found = await repository.reversible(source, source_reference)
    return found.credits if found else 0


async def was_reversed(session: AsyncSession, user_id: uuid.UUID, reference: str) -> bool:
    """Tell whether `reverse` took anything for this reference."""
    return bool(await CreditRepository(session, user_id).entered(EntryKind.REVERSED, reference))


async def restore_reversed(
    session: AsyncSession, user_id: uuid.UUID, *, reversal_reference: str, reference: str, description: str
) -> bool:
    """Give back what `reverse` took for `reversal_reference`, because the dispute was won.

    The credits last as long as those of their lot did, and a few days at least. Return False when nothing was taken, or
    it was given back for this `reference` before.
    """
    repository = CreditRepository(session, user_id)
    await repository.lock()
    taken = await repository.entered(EntryKind.REVERSED, reversal_reference)
    if not taken:
        return False
    [(lot_id, change)] = taken
    stock = await repository.stock()
    expires_at = ledger.returned_until(await repository.expiry_of(lot_id), stock.now)
    return await grant(session, Grant(user_id, LotSource.RETURNED, reference, -change, expires_at, description))


async def adjust(session: AsyncSession, user_id: uuid.UUID, *, amount: int, reason: str, reference: str) -> bool:
    """Give (positive) or take (negative) credits by hand. What the user does not have is owed.

    Given credits do not expire. Return False when it was done for this user and `reference` before.

    Raises:
        ValueError: `amount` is zero.
    """
    if not amount:
        raise ValueError("an adjustment of zero credits changes nothing")
    reference = f"{user_id}:{reference}"
    if amount > 0:
        given = Grant(user_id, LotSource.ADJUSTMENT, reference, amount, None, reason)
        return await _add(session, given, EntryKind.ADJUSTED)
    repository = CreditRepository(session, user_id)
    await repository.lock()
    if await repository.entered(EntryKind.ADJUSTED, reference):
        return False
    stock = await repository.stock()
    parts = ledger.allocate(stock.lots, -amount, stock.now)
    owed = -amount - sum(part.credits for part in parts)
    for part in parts:
        await repository.change_lot(part.lot_id, remaining=-part.credits)
        await repository.add_entry(
            EntryKind.ADJUSTED, part.lot_id, -part.credits, reference=reference, description=reason
        )
    if owed:
        await repository.change_account(debt=owed)
        await repository.add_entry(EntryKind.ADJUSTED, None, -owed, reference=reference, description=reason)
    return True


async def expire(session: AsyncSession, user_id: uuid.UUID) -> int:
    """Write off what is unreserved in a user's expired lots, after it paid what they owe; return how much is lost."""
    repository = CreditRepository(session, user_id)
    account = await repository.lock()
    stock = await repository.stock()
    gone = ledger.lapse(stock.lots, account.debt, stock.now)
    remaining = {lot.id: lot.remaining for lot in stock.lots}
    for part in gone.paid:
        await repository.change_lot(part.lot_id, remaining=-part.credits)
        await repository.change_account(debt=-part.credits)
    for part in gone.expired:
        await repository.change_lot(part.lot_id, remaining=-part.credits)
        # Unlike anything else of a lot, what remains only ever becomes less, so it names this time.
        reference = f"of {remaining[part.lot_id]} remaining"
        await repository.add_entry(
            EntryKind.EXPIRED, part.lot_id, -part.credits, reference=reference, description="Expired"
        )
    return sum(part.credits for part in gone.expired)


async def spendable(session: AsyncSession, user_id: uuid.UUID) -> int:
    """Return how many credits new work may reserve; negative while more is owed than there is."""
    repository = CreditRepository(session, user_id)
    account, stock = await repository.account(), await repository.stock()
    return ledger.spendable(stock.lots, account.debt, stock.now)


async def check(session: AsyncSession, user_id: uuid.UUID | None = None) -> list[str]:
    """Compare every account, or one, with its entries, lots and holds; return a sentence for each difference."""
    return await Checks(session).problems(user_id)


async def _add(session: AsyncSession, granted: Grant, kind: EntryKind) -> bool:
    if granted.credits <= 0:
        raise ValueError("a grant has at least one credit")
    repository = CreditRepository(session, granted.user_id)
    account = await repository.lock()
    paid = min(account.debt, granted.credits)
    lot_id = await repository.add_lot(
        granted.source,
        granted.reference,
        granted=granted.credits,
        remaining=granted.credits - paid,
        expires_at=granted.expires_at,
    )
    if lot_id is None:
        return False
    if paid:
        await repository.change_account(debt=-paid)
    await repository.add_entry(
        kind, lot_id, granted.credits, reference=granted.reference, description=granted.description
    )
    return True
