"""Routes under /api/v1/credits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from rekindle_api.auth.dependencies import CurrentUser
from rekindle_api.credits import ledger
from rekindle_api.credits.quotes import CostOptions, quote
from rekindle_api.credits.replies import Balance, CostReply, cost_reply, history_entry, usage_rules
from rekindle_api.credits.repository import CreditRepository
from rekindle_api.credits.service import ensure_account, spendable
from rekindle_api.database import DatabaseSession
from rekindle_api.settings import PlanSettings, Tier

router = APIRouter(prefix="/api/v1/credits", tags=["credits"])


class HistoryPage(BaseModel):
    """Which part of the history to return."""

    before: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    """`olderHistory` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


@router.get("/balance")
async def get_balance(
    request: Request, user: CurrentUser, session: DatabaseSession, page: Annotated[HistoryPage, Query()]
) -> Balance:
    """Return what can be spent now, and the history, newest first."""
    plans: PlanSettings = request.app.state.plans
    await ensure_account(session, user, plans)
    repository = CreditRepository(session, user.id)
    account, stock = await repository.account(), await repository.stock()
    available = ledger.spendable(stock.lots, account.debt, stock.now)
    entries = await repository.entries(page.before, page.limit + 1)
    shown = entries[: page.limit]
    return Balance(
        total_credits=available,
        held_credits=account.held,
        owed_credits=account.debt,
        subscription_tier=Tier(user.tier),
        next_billing_date=user.renews_at,
        low_credit_warning=available < plans.low_credits,
        credit_history=[history_entry(entry, source) for entry, source in shown],
        older_history=str(shown[-1][0].id) if len(entries) > page.limit else None,
        usage_rules=usage_rules(plans.costs),
    )


@router.post("/calculate-cost")
async def calculate_cost(
    request: Request, wanted: CostOptions, user: CurrentUser, session: DatabaseSession
) -> CostReply:
    """Return what wishes would cost, and what would be left. Nothing is reserved."""
    plans: PlanSettings = request.app.state.plans
    await ensure_account(session, user, plans)
    wishes = wanted.wishes()
    available = await spendable(session, user.id)
    return cost_reply(quote(wishes, plans.costs), available, bring_together=wishes.bring_together)
