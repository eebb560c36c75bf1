"""Every query on subscriptions, checkouts and payments, and on what billing writes of a user."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rekindle_api.billing.decisions import LIVE
from rekindle_api.billing.models import Checkout, Payment, Subscription
from rekindle_api.users.models import AccountStatus, User

_LEAVING = (AccountStatus.DELETION_REQUESTED, AccountStatus.DELETED)


class BillingRepository:
    """Payments within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, user_id: uuid.UUID) -> None:
        """Wait until nobody else changes this user's payments; the lock ends with the transaction."""
        await self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"billing:{user_id}", 0))))

    async def user(self, user_id: uuid.UUID) -> User | None:
        """Return a user as the row is now."""
        statement = select(User).where(User.id == user_id).execution_options(populate_existing=True)
        return (await self._session.scalars(statement)).one_or_none()

    async def user_of_customer(self, customer_id: str) -> uuid.UUID | None:
        """Return whose customer this is."""
        return await self._session.scalar(select(User.id).where(User.stripe_customer_id == customer_id))

    async def set_customer(self, user_id: uuid.UUID, customer_id: str) -> None:
        """Note who the user is at Stripe."""
        await self._change_user(user_id, stripe_customer_id=customer_id)

    async def set_tier(self, user_id: uuid.UUID, tier: str, renews_at: datetime | None) -> None:
        """Note what the user has subscribed to."""
        await self._change_user(user_id, tier=tier, renews_at=renews_at)

    async def subscriptions(self, user_id: uuid.UUID) -> list[Subscription]:
        """Return the subscriptions of a user, newest first."""
        found = await self._session.scalars(
            select(Subscription)
            .where(Subscription.user_id == user_id)
            .order_by(Subscription.started_at.desc(), Subscription.id)
            .execution_options(populate_existing=True)
        )
        return list(found)

    async def subscription(self, subscription_id: str) -> Subscription | None:
        """Return a subscription."""
        statement = select(Subscription).where(Subscription.id == subscription_id)
        return (await self._session.scalars(statement.execution_options(populate_existing=True))).one_or_none()

    async def live_subscriptions(self, after: str, limit: int) -> list[Subscription]:
        """Return a page of the subscriptions that were live when they were last read, by id."""
        found = await self._session.scalars(
            select(Subscription)
            .where(Subscription.status.in_(LIVE), Subscription.id > after)
            .order_by(Subscription.id)
            .limit(limit)
        )
        return list(found)

    async def save_subscription(self, subscription_id: str, **values: object) -> None:
        """Write what Stripe says of a subscription."""
        await self._session.execute(
            insert(Subscription)
            .values(id=subscription_id, **values)
            .on_conflict_do_update(index_elements=[Subscription.id], set_={**values, "updated_at": func.now()})
        )

    async def supersede(self, subscription_ids: Collection[str]) -> None:
        """Mark subscriptions as too many, for good."""
        await self._session.execute(
            update(Subscription)
            .where(Subscription.id.in_(subscription_ids))
            .values(superseded=True, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def not_paid_back(self) -> list[str]:
        """Return the second subscriptions of which some money was not paid back."""
        found = await self._session.scalars(
            select(Subscription.id)
            .join(Payment, Payment.subscription_id == Subscription.id)
            .where(Subscription.superseded.is_(True), Payment.amount_refunded < Payment.amount)
            .distinct()
        )
        return list(found)

    async def paid_too_late(self) -> list[str]:
        """Return the invoices that were paid for an account that was gone, and of which some was not paid back."""
        found = await self._session.scalars(
            select(Payment.id)
            .join(User, User.id == Payment.user_id)
            .where(
                Payment.subscription_id.is_not(None),
                Payment.paid_at > User.deleted_at,
                Payment.amount_refunded < Payment.amount,
            )
            .order_by(Payment.paid_at)
        )
        return list(found)

    async def leaving(self) -> list[uuid.UUID]:
        """Return the users who want to go, or are gone, and have a subscription that still bills them."""
        found = await self._session.scalars(
            select(User.id)
            .join(Subscription, Subscription.user_id == User.id)
            .where(
                User.status.in_(_LEAVING),
                Subscription.status.in_(LIVE),
                or_(User.status == AccountStatus.DELETED, Subscription.cancel_at_period_end.is_(False)),
            )
            .distinct()
        )
        return list(found)

    async def add_checkout(self, session_id: str, **values: object) -> None:
        """Note a Checkout session that was opened."""
        await self._session.execute(
            insert(Checkout).values(id=session_id, **values).on_conflict_do_nothing(index_elements=[Checkout.id])
        )

    async def set_checkout_status(self, session_id: str, status: str) -> None:
        """Write what Stripe says of a Checkout session."""
        await self._session.execute(
            update(Checkout)
            .where(Checkout.id == session_id, Checkout.status != status)
            .values(status=status, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def open_checkouts(self, user_id: uuid.UUID) -> list[Checkout]:
        """Return the Checkout sessions of a user that may still be paid, newest first."""
        found = await self._session.scalars(
            select(Checkout)
            .where(Checkout.user_id == user_id, Checkout.status == "open")
            .order_by(Checkout.created_at.desc(), Checkout.id)
        )
        return list(found)

    async def stale_checkouts(self, before: datetime, after: str, limit: int) -> list[str]:
        """Return a page of Checkout sessions, by id, that still count as open and were opened before then."""
        found = await self._session.scalars(
            select(Checkout.id)
            .where(Checkout.status == "open", Checkout.created_at < before, Checkout.id > after)
            .order_by(Checkout.id)
            .limit(limit)
        )
        return list(found)

    async def payment(self, payment_id: str) -> Payment | None:
        """Return a payment by the invoice or Checkout session that it is for."""
        statement = select(Payment).where(Payment.id == payment_id).execution_options(populate_existing=True)
        return (await self._session.scalars(statement)).one_or_none()

    async def payment_by_intent(self, payment_intent: str) -> Payment | None:
        """Return a payment by Stripe's id of the money."""
        statement = select(Payment).where(Payment.payment_intent_id == payment_intent)
        return (await self._session.scalars(statement.execution_options(populate_existing=True))).one_or_none()

    async def payments(self, user_id: uuid.UUID, limit: int = 100) -> list[Payment]:
        """Return the payments of a user, newest first."""
        found = await self._session.scalars(
            select(Payment).where(Payment.user_id == user_id).order_by(Payment.paid_at.desc(), Payment.id).limit(limit)
        )
        return list(found)

    async def payments_of_subscription(self, subscription_id: str) -> list[Payment]:
        """Return the payments for a subscription, newest first."""
        found = await self._session.scalars(
            select(Payment)
            .where(Payment.subscription_id == subscription_id)
            .order_by(Payment.paid_at.desc(), Payment.id.desc())
        )
        return list(found)

    async def known_payments(self, payment_ids: Sequence[str]) -> set[str]:
        """Return which of these invoices and Checkout sessions are recorded."""
        return set(await self._session.scalars(select(Payment.id).where(Payment.id.in_(payment_ids))))

    async def add_payment(self, payment_id: str, **values: object) -> bool:
        """Record a payment; return whether it is new."""
        added = await self._session.scalars(
            insert(Payment)
            .values(id=payment_id, **values)
            .on_conflict_do_nothing(index_elements=[Payment.id])
            .returning(Payment.id)
        )
        return added.one_or_none() is not None

    async def set_intent(self, payment_id: str, payment_intent: str) -> None:
        """Write Stripe's id of the money when it was not known with the payment."""
        await self._session.execute(
            update(Payment)
            .where(Payment.id == payment_id, Payment.payment_intent_id.is_(None))
            .values(payment_intent_id=payment_intent, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def set_refunded(self, payment_id: str, amount: int) -> None:
        """Write how much of a payment is paid back or in dispute."""
        await self._session.execute(
            update(Payment)
            .where(Payment.id == payment_id, Payment.amount_refunded != amount)
            .values(amount_refunded=amount, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )

    async def _change_user(self, user_id: uuid.UUID, **values: object) -> None:
        await self._session.execute(
            update(User)
            .where(User.id == user_id)
            .values(**values, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
