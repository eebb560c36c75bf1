"""Commands on credits: put right what went wrong, and see whether the ledger adds up."""

import argparse

from rekindle_api.administration.answers import Answer, Record, RefusedError, Table
from rekindle_api.administration.desk import Desk
from rekindle_api.attempts.charges import check_charges
from rekindle_api.credits.repository import CreditRepository
from rekindle_api.credits.service import adjust, check, spendable
from rekindle_api.users.models import AccountStatus


async def adjust_credits(desk: Desk, options: argparse.Namespace) -> Answer:
    """Give or take credits. Done once for each reference."""
    user = await desk.user(options.user)
    if user.status == AccountStatus.DELETED:
        raise RefusedError("The account is deleted.")
    amount, reference = options.amount, options.reference
    done = await adjust(desk.session, user.id, amount=amount, reason=desk.reason, reference=reference)
    if done:
        await desk.note("credits_adjusted", user.id, amount=amount, reference=reference)
    account = await CreditRepository(desk.session, user.id).account()
    values = {
        "user_id": user.id,
        "reference": reference,
        "done": done,
        "spendable": await spendable(desk.session, user.id),
        "balance": account.balance,
        "debt": account.debt,
    }
    return Answer([Record("credits", values)])


async def check_ledger(desk: Desk, options: argparse.Namespace) -> Answer:
    """Compare balances with entries, lots, holds and attempts, of all accounts or of one."""
    user_id = None if options.user is None else (await desk.user(options.user)).id
    await desk.note("ledger_checked", user_id)
    problems = [*await check(desk.session, user_id), *await check_charges(desk.session, user_id)]
    return Answer([Table("differences", ("difference",), [(one,) for one in problems])], status=1 if problems else 0)
