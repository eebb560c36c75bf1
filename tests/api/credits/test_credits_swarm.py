"""Many users, payments, attempts, ends and nights at once, from a seed, and whether every credit is accounted for."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rekindle_api.attempts.errors import RestoreNotFoundError, RestoreWithoutResultError
from rekindle_api.attempts.models import AnimationAttempt, AttemptStatus, RestoreAttempt
from rekindle_api.attempts.service import delete_attempt
from rekindle_api.attempts.states import cancel
from rekindle_api.credits.errors import CreditsOwedError, InsufficientCreditsError
from rekindle_api.credits.expiry import expire_credits
from rekindle_api.outbox.repository import OutboxRepository
from rekindle_api.users.models import User

if TYPE_CHECKING:
    from tests.api.credits.conftest import Ledger

pytestmark = [pytest.mark.stack, pytest.mark.slow]
USERS, ACTORS, ACTS = 12, 20, 40
_LEASE = timedelta(minutes=1)


@dataclass
class Swarm:
    """What the actors know in common, as the world outside of the service would."""

    ledger: "Ledger"
    random: random.Random
    users: list[User]
    attempts: list[tuple[User, uuid.UUID, type[Any]]] = field(default_factory=list)
    payments: list[tuple[User, str, int]] = field(default_factory=list)
    refused: int = 0
    in_debt: int = 0

    async def act(self) -> None:
        """Do one thing, chosen by the seed."""
        acts: list[tuple[int, Callable[[User], Awaitable[object]]]] = [
            (8, self.restore),
            (4, self.animate),
            (6, self.end),
            (2, self.claim),
            (3, self.cancel),
            (2, self.delete),
            (3, self.pay),
            (2, self.refund),
            (1, self.adjust),
            (1, self.sleep),
            (1, self.sweep),
        ]
        [(_, act)] = self.random.choices(acts, [weight for weight, _ in acts])
        await act(self.random.choice(self.users))

    async def restore(self, user: User) -> None:
        try:
            # Few different requests, so that equal ones meet.
            denoise = self.random.randrange(4) / 4
            attempt_id = await self.ledger.restore(user, colourize=self.random.random() < 0.5, denoise=denoise)
        except (InsufficientCreditsError, CreditsOwedError) as refusal:
            self._refuse(refusal)
        else:
            self.attempts.append((user, attempt_id, RestoreAttempt))

    def _refuse(self, refusal: InsufficientCreditsError | CreditsOwedError) -> None:
        if isinstance(refusal, CreditsOwedError):
            self.in_debt += 1
        else:
            self.refused += 1

    async def animate(self, _: User) -> None:
        restorations = [(user, attempt_id) for user, attempt_id, table in self.attempts if table is RestoreAttempt]
        if not restorations:
            return
        user, restore_id = self.random.choice(restorations)
        acts: list[Awaitable[Any]] = [self.ledger.animate(user, restore_id)]
        if self.random.random() < 0.4:
            # The restoration ends at the same moment.
            status = self.random.choice([AttemptStatus.COMPLETED, AttemptStatus.FAILED])
            acts.append(self.ledger.observe(restore_id, status))
        begun = (await asyncio.gather(*acts, return_exceptions=True))[0]
        if isinstance(begun, uuid.UUID):
            self.attempts.append((user, begun, AnimationAttempt))
        elif isinstance(begun, (InsufficientCreditsError, CreditsOwedError)):
            self._refuse(begun)
        elif not isinstance(begun, (RestoreNotFoundError, RestoreWithoutResultError)):
            raise begun

    async def end(self, _: User) -> None:
        if not self.attempts:
            return
        _, attempt_id, table = self.random.choice(self.attempts)
        status = self.random.choice([AttemptStatus.PROCESSING, *[AttemptStatus.COMPLETED] * 2, AttemptStatus.FAILED])
        unfulfilled = ("colorize",) if self.random.random() < 0.3 else ()
        # Two bridges see the same end.
        await asyncio.gather(
            *(self.ledger.observe(attempt_id, status, table, unfulfilled=unfulfilled) for _ in range(2))
        )

    async def claim(self, _: User) -> None:
        async with self.ledger.database.transaction() as session:
            await OutboxRepository(session).claim(2, _LEASE)

    async def cancel(self, _: User) -> None:
        if self.attempts:
            _, attempt_id, table = self.random.choice(self.attempts)
            async with self.ledger.database.transaction() as session:
                await cancel(session, table, attempt_id)

    async def delete(self, _: User) -> None:
        if self.attempts:
            user, attempt_id, table = self.random.choice(self.attempts)
            job_id = self.ledger.subjects[user.id].job_id
            async with self.ledger.database.transaction() as session:
                await delete_attempt(session, table, user.id, job_id, attempt_id)

    async def pay(self, user: User) -> None:
        reference, credits_ = f"cs_{len(self.payments)}", self.random.randrange(1, 25)
        self.payments.append((user, reference, credits_))
        days = self.random.choice([None, 1.0, 5.0, 30.0])
        # Stripe tells it more than once.
        await asyncio.gather(*(self.ledger.grant(user, credits_, days, reference=reference) for _ in range(3)))

    async def refund(self, _: User) -> None:
        if not self.payments:
            return
        user, reference, credits_ = self.random.choice(self.payments)
        amount = self.random.randrange(1, credits_ + 1)
        refunds = (
            self.ledger.reverse(user, amount, source_reference=reference, reference=f"re_{reference}_{amount}")
            for _ in range(2)
        )
        # A grant that is not committed yet cannot be taken back.
        await asyncio.gather(*refunds, return_exceptions=True)

    async def adjust(self, user: User) -> None:
        await self.ledger.adjust(user, self.random.choice([-6, -1, 2, 9]))

    async def sleep(self, user: User) -> None:
        await self.ledger.pass_by(user, self.random.choice([0.5, 3.0]))

    async def sweep(self, _: User) -> None:
        done = await expire_credits(self.ledger.database)
        assert done.failures == 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_swarm_loses_and_doubles_no_credit(ledger: "Ledger", seed: int) -> None:
    swarm = Swarm(ledger, random.Random(seed), [await ledger.user() for _ in range(USERS)])  # noqa: S311 - a seed

    async def actor() -> None:
        for _ in range(ACTS):
            await swarm.act()

    async with asyncio.timeout(200), asyncio.TaskGroup() as actors:
        for _ in range(ACTORS):
            actors.create_task(actor())

    assert swarm.refused > 0
    assert swarm.attempts
    assert swarm.in_debt > 0
    await nothing_is_wrong(ledger)

    # Everything ends; then nothing is held, and each attempt is charged once or not at all.
    for _, attempt_id, table in swarm.attempts:
        await ledger.observe(attempt_id, AttemptStatus.FAILED, table)
    await expire_credits(ledger.database)
    await nothing_is_wrong(ledger)
    assert await ledger.run("SELECT sum(held) FROM credit_accounts") == [(0,)]
    assert await ledger.run("SELECT count(*) FROM credit_holds WHERE state = 'held'") == [(0,)]
    assert (
        await ledger.run(
            "SELECT a.id FROM (SELECT id, status, unfulfilled, credits, credits_without_colour FROM restore_attempts"
            " UNION ALL SELECT id, status, unfulfilled, credits, NULL FROM animation_attempts) a"
            " JOIN credit_holds h ON h.attempt_id = a.id"
            " LEFT JOIN (SELECT attempt_id, -sum(amount) AS spent FROM credit_entries WHERE kind = 'spent'"
            " GROUP BY attempt_id) e ON e.attempt_id = a.id WHERE (a.status = 'completed') <> (h.state = 'captured')"
            " OR coalesce(e.spent, 0) <> CASE WHEN a.status <> 'completed' THEN 0"
            " WHEN a.unfulfilled ? 'colorize' THEN coalesce(a.credits_without_colour, a.credits) ELSE a.credits END"
        )
        == []
    )


async def nothing_is_wrong(ledger: "Ledger") -> None:
    assert await ledger.differences() == []
    assert (
        await ledger.run(
            "SELECT user_id FROM credit_accounts a WHERE balance <> (SELECT sum(remaining) FROM credit_lots l"
            " WHERE l.user_id = a.user_id) - debt OR balance <> (SELECT sum(amount) FROM credit_entries e"
            " WHERE e.user_id = a.user_id)"
        )
        == []
    )
    # What was granted to a user and not given back by them is the most that was ever spent.
    assert (
        await ledger.run(
            "SELECT user_id FROM credit_entries GROUP BY user_id"
            " HAVING -sum(amount) FILTER (WHERE kind = 'spent') > sum(amount) FILTER (WHERE amount > 0)"
        )
        == []
    )
    # The server counts a deadlock when it ends a transaction for it; the swarm's own transactions have none left open.
    assert await ledger.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]
