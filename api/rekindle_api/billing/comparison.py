"""Compares what is written here with what Stripe says, and mends what no event told. It may be killed and repeated."""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from rekindle_api.billing.context import Billing
from rekindle_api.billing.deletion import cancel_for_deletion
from rekindle_api.billing.errors import StripeRefusedError, StripeUnavailableError, UnknownPriceError
from rekindle_api.billing.models import CheckoutMode, Subscription
from rekindle_api.billing.purchases import apply_intent, apply_invoice, apply_session
from rekindle_api.billing.remote import RemoteInvoice, RemoteSubscription
from rekindle_api.billing.repository import BillingRepository
from rekindle_api.billing.subscriptions import apply_subscription, pay_back, subscription_values
from rekindle_api.webhooks.repository import WebhookRepository

_log = logging.getLogger(__name__)
_BATCH = 100
_DISPUTE_DAYS = 180
"""Banks take months to decide."""
_KEEP_EVENTS = timedelta(days=90)
_SETTLING = timedelta(minutes=10)
"""What is younger may be under way by its event."""
_ERRORS = (StripeUnavailableError, StripeRefusedError, UnknownPriceError, SQLAlchemyError)


@dataclass
class Compared:
    """What the pass did. `applied` counts objects that were read and applied anew, `failures` what is left."""

    applied: int = 0
    forgotten: int = 0
    failures: int = 0

    def __str__(self) -> str:
        """Return the summary line."""
        return f"stripe applied={self.applied} forgotten_events={self.forgotten} failures={self.failures}"


class Comparison:
    """The pass. What it cannot mend is logged and counted, and keeps nothing else from its turn."""

    def __init__(self, billing: Billing) -> None:
        self._billing = billing
        self._since = datetime.now(UTC) - timedelta(days=billing.settings.stripe_lookback_days)
        self._compared = Compared()

    async def compare(self) -> Compared:
        """Do one pass."""
        steps = {
            "subscriptions": self._subscriptions,
            "invoices": self._invoices,
            "checkouts": self._checkouts,
            "returns": self._returns,
            "superfluous": self._superfluous,
            "late": self._late,
            "leaving": self._leaving,
            "events": self._forget_events,
        }
        for name, step in steps.items():
            try:
                await step()
            except _ERRORS as error:
                self._failed(name, name, error)
        return self._compared

    async def _subscriptions(self) -> None:
        """Look at every subscription that lives there or here."""
        seen: set[str] = set()
        async for remote in self._billing.stripe.subscriptions():
            owner = self._billing.owner(remote.metadata)
            if owner is None:
                continue
            seen.add(remote.id)
            async with self._billing.database.transaction() as session:
                known = await BillingRepository(session).subscription(remote.id)
            if self._differs(owner, remote, known):
                await self._mend(remote.id, apply_subscription(self._billing, remote.id))
        async for row in self._live():
            if row.id not in seen or row.superseded:
                await self._mend(row.id, apply_subscription(self._billing, row.id))

    def _differs(self, owner: uuid.UUID, remote: RemoteSubscription, known: Subscription | None) -> bool:
        if known is None:
            return True
        try:
            values = subscription_values(self._billing, owner, remote)
        except UnknownPriceError:
            return True
        return any(getattr(known, name) != value for name, value in values.items())

    async def _live(self) -> AsyncIterator[Subscription]:
        last = ""
        while True:
            async with self._billing.database.transaction() as session:
                page = await BillingRepository(session).live_subscriptions(last, _BATCH)
            for row in page:
                yield row
                last = row.id
            if len(page) < _BATCH:
                return

    async def _invoices(self) -> None:
        """Look at every paid invoice that is not recorded: the oldest first, for later ones may take of earlier."""
        missing: list[str] = []
        batch: list[RemoteInvoice] = []
        async for remote in self._billing.stripe.paid_invoices(self._since):
            if remote.subscription is not None and not self._is_foreign(remote):
                batch.append(remote)
            if len(batch) >= _BATCH:
                missing += await self._unknown(batch)
                batch = []
        missing += await self._unknown(batch)
        for invoice_id in reversed(missing):
            await self._mend(invoice_id, apply_invoice(self._billing, invoice_id))

    async def _unknown(self, invoices: list[RemoteInvoice]) -> list[str]:
        async with self._billing.database.transaction() as session:
            known = await BillingRepository(session).known_payments([each.id for each in invoices])
        return [each.id for each in invoices if each.id not in known]

    def _is_foreign(self, invoice: RemoteInvoice) -> bool:
        return bool(invoice.metadata) and self._billing.owner(invoice.metadata) is None

    async def _checkouts(self) -> None:
        """Look at what was paid there and is not recorded, and at what counts as open here and is not any more."""
        async for remote in self._billing.stripe.complete_sessions(self._since):
            if self._billing.owner(remote.metadata) is None or remote.mode != CheckoutMode.PAYMENT:
                continue
            async with self._billing.database.transaction() as session:
                known = await BillingRepository(session).payment(remote.id)
            if known is None and remote.payment_status != "unpaid":
                await self._mend(remote.id, apply_session(self._billing, remote.id))
        last, before = "", datetime.now(UTC) - _SETTLING
        while True:
            async with self._billing.database.transaction() as session:
                page = await BillingRepository(session).stale_checkouts(before, last, _BATCH)
            for session_id in page:
                await self._mend(session_id, apply_session(self._billing, session_id))
                last = session_id
            if len(page) < _BATCH:
                return

    async def _returns(self) -> None:
        """Look at every payment of which something went back lately."""
        disputed = datetime.now(UTC) - timedelta(days=_DISPUTE_DAYS)
        payments = {each.payment_intent async for each in self._billing.stripe.refunds(self._since)}
        payments |= {each.payment_intent async for each in self._billing.stripe.disputes(disputed)}
        for payment_intent in sorted(each for each in payments if each is not None):
            await self._mend(payment_intent, apply_intent(self._billing, payment_intent))

    async def _superfluous(self) -> None:
        """Pay back what second subscriptions took."""
        async with self._billing.database.transaction() as session:
            owing = await BillingRepository(session).not_paid_back()
        for subscription_id in owing:
            await self._mend(subscription_id, pay_back(self._billing, subscription_id))

    async def _late(self) -> None:
        """Pay back what was paid for accounts that were gone."""
        async with self._billing.database.transaction() as session:
            late = await BillingRepository(session).paid_too_late()
        for invoice_id in late:
            await self._mend(invoice_id, apply_invoice(self._billing, invoice_id))

    async def _leaving(self) -> None:
        """End what still bills users who want to go."""
        async with self._billing.database.transaction() as session:
            leaving = await BillingRepository(session).leaving()
        for user_id in leaving:
            if await cancel_for_deletion(self._billing, user_id):
                self._compared.applied += 1
            else:
                self._compared.failures += 1

    async def _forget_events(self) -> None:
        """Delete events that were handled long ago."""
        before = datetime.now(UTC) - _KEEP_EVENTS
        while True:
            async with self._billing.database.transaction() as session:
                forgotten = await WebhookRepository(session).forget_handled(before, _BATCH)
            self._compared.forgotten += forgotten
            if forgotten < _BATCH:
                return

    async def _mend(self, which: str, mending: Awaitable[str | None]) -> None:
        try:
            outcome = await mending
        except _ERRORS as error:
            self._failed("object", which, error)
            return
        self._compared.applied += 1
        _log.info("compared with Stripe", extra={"object": which, "outcome": outcome})

    def _failed(self, what: str, which: str, error: Exception) -> None:
        self._compared.failures += 1
        said = getattr(error, "cause", "") or str(error)
        _log.warning("not compared with Stripe", extra={"what": what, "which": which, "error": said})
