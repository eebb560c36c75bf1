"""Every request to Stripe: one client for a process, answers as frozen values, errors in two kinds."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

import stripe

from rekindle_api.billing.errors import BillingUnavailableError, StripeRefusedError, StripeUnavailableError
from rekindle_api.billing.remote import (
    InvoiceLine,
    InvoicePayment,
    Remote,
    RemoteCustomer,
    RemoteDispute,
    RemoteIntent,
    RemoteInvoice,
    RemotePortal,
    RemotePrice,
    RemoteRefund,
    RemoteSession,
    RemoteSubscription,
)
from rekindle_api.billing.transport import Transport
from rekindle_api.settings import StripeSettings

API_VERSION = "2026-10-28.endive"
"""What this code is written for; the webhook endpoint is made with the same one."""
_PAGE = 100
_MISSING = "resource_missing"
R = TypeVar("R", bound=Remote)


class StripeGateway:
    """Stripe as this service uses it. Each method is one request; those that list, one for each hundred.

    Every method raises StripeUnavailableError when a later try may help, and StripeRefusedError when none will.
    """

    def __init__(self, settings: StripeSettings) -> None:
        if settings.stripe_secret_key is None:
            raise BillingUnavailableError
        self._http = Transport(settings.stripe_timeout_seconds)
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else None,
            max_network_retries=settings.stripe_retries,
            http_client=self._http,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close_async()

    async def price(self, price_id: str) -> RemotePrice:
        """Return a price."""
        return await _one(RemotePrice, self._client.v1.prices.retrieve_async(price_id))

    async def create_customer(self, email: str | None, metadata: Mapping[str, str], key: str) -> RemoteCustomer:
        """Make a customer, or return the one that the same key made before."""
        params: Any = {"metadata": dict(metadata), **({"email": email} if email else {})}
        # The same key with another e-mail would be refused.
        key = f"customer:{key}:{hashlib.sha256((email or '').encode()).hexdigest()[:16]}"
        options: Any = {"idempotency_key": key}
        return await _one(RemoteCustomer, self._client.v1.customers.create_async(params, options))

    async def customer(self, customer_id: str) -> RemoteCustomer | None:
        """Return a customer, deleted ones too; None when there never was one of this id."""
        return await _found(RemoteCustomer, self._client.v1.customers.retrieve_async(customer_id))

    async def create_session(self, params: Mapping[str, Any], key: str) -> RemoteSession:
        """Open a Checkout session."""
        given, options = cast("Any", dict(params)), cast("Any", {"idempotency_key": key})
        return await _one(RemoteSession, self._client.v1.checkout.sessions.create_async(given, options))

    async def session(self, session_id: str) -> RemoteSession | None:
        """Return a Checkout session."""
        return await _found(RemoteSession, self._client.v1.checkout.sessions.retrieve_async(session_id))

    async def expire_session(self, session_id: str) -> RemoteSession | None:
        """Close a Checkout session that nobody paid; return it as it is then, complete if it was paid before."""
        try:
            return await _one(RemoteSession, self._client.v1.checkout.sessions.expire_async(session_id))
        except StripeRefusedError:
            return await self.session(session_id)

    async def session_of(self, payment_intent: str) -> RemoteSession | None:
        """Return the Checkout session that a payment belongs to."""
        params: Any = {"payment_intent": payment_intent, "limit": 1}
        page = await _answer(self._client.v1.checkout.sessions.list_async(params))
        return next((RemoteSession.model_validate(item) for item in page["data"]), None)

    async def open_portal(self, customer_id: str, return_url: str, configuration: str | None) -> RemotePortal:
        """Open the billing portal for a customer."""
        params: Any = {"customer": customer_id, "return_url": return_url}
        if configuration:
            params["configuration"] = configuration
        return await _one(RemotePortal, self._client.v1.billing_portal.sessions.create_async(params))

    async def subscription(self, subscription_id: str) -> RemoteSubscription | None:
        """Return a subscription."""
        return await _found(RemoteSubscription, self._client.v1.subscriptions.retrieve_async(subscription_id))

    async def cancel(self, subscription_id: str) -> None:
        """End a subscription now; one that ended already stays as it is."""
        params: Any = {"invoice_now": False, "prorate": False}
        # No idempotency key of ours: Stripe would answer a later try with an earlier failure for a day.
        await _found(RemoteSubscription, self._client.v1.subscriptions.cancel_async(subscription_id, params))

    async def cancel_at_period_end(self, subscription_id: str) -> None:
        """Let a subscription end when what was paid for is over."""
        params: Any = {"cancel_at_period_end": True}
        await _found(RemoteSubscription, self._client.v1.subscriptions.update_async(subscription_id, params))

    async def invoice(self, invoice_id: str) -> RemoteInvoice | None:
        """Return an invoice with all its lines."""
        params: Any = {"expand": ["payments"]}
        try:
            found = await _answer(self._client.v1.invoices.retrieve_async(invoice_id, params))
        except StripeRefusedError as error:
            if error.reason == _MISSING:
                return None
            raise
        if found["lines"]["has_more"]:
            listed = self._client.v1.invoices.line_items.list_async
            lines = [line async for line in _all(InvoiceLine, lambda page: listed(invoice_id, cast("Any", page)))]
            return RemoteInvoice.model_validate(found).model_copy(update={"lines": tuple(lines)})
        return RemoteInvoice.model_validate(found)

    async def invoice_of(self, payment_intent: str) -> str | None:
        """Return the id of the invoice that a payment belongs to."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "limit": 1}
        page = await _answer(self._client.v1.invoice_payments.list_async(params))
        return next((InvoicePayment.model_validate(item).invoice for item in page["data"]), None)

    async def intent(self, payment_intent: str) -> RemoteIntent | None:
        """Return a payment with its last charge."""
        params: Any = {"expand": ["latest_charge"]}
        return await _found(RemoteIntent, self._client.v1.payment_intents.retrieve_async(payment_intent, params))

    async def refunds_of(self, payment_intent: str) -> list[RemoteRefund]:
        """Return the refunds of a payment."""
        params: Any = {"payment_intent": payment_intent, "limit": _PAGE}
        page = await _answer(self._client.v1.refunds.list_async(params))
        return [RemoteRefund.model_validate(item) for item in page["data"]]

    async def disputes_of(self, payment_intent: str) -> list[RemoteDispute]:
        """Return the disputes of a payment."""
        params: Any = {"payment_intent": payment_intent, "limit": _PAGE}
        page = await _answer(self._client.v1.disputes.list_async(params))
        return [RemoteDispute.model_validate(item) for item in page["data"]]

    async def refund(self, payment_intent: str, metadata: Mapping[str, str]) -> None:
        """Pay back what is left of a payment; once, however often it is asked for: nothing is left afterwards."""
        params: Any = {"payment_intent": payment_intent, "reason": "duplicate", "metadata": dict(metadata)}
        try:
            await _answer(self._client.v1.refunds.create_async(params))
        except StripeRefusedError as error:
            if error.reason not in {"charge_already_refunded", "charge_disputed"}:
                raise

    def subscriptions(self) -> AsyncIterator[RemoteSubscription]:
        """Return every subscription that has not ended."""
        return _all(RemoteSubscription, lambda page: self._client.v1.subscriptions.list_async(cast("Any", page)))

    def subscriptions_of(self, customer_id: str) -> AsyncIterator[RemoteSubscription]:
        """Return the subscriptions of a customer that have not ended."""
        listed = self._client.v1.subscriptions.list_async
        return _all(RemoteSubscription, lambda page: listed(cast("Any", {"customer": customer_id, **page})))

    def paid_invoices(self, since: datetime) -> AsyncIterator[RemoteInvoice]:
        """Return the paid invoices that were made since then, without their payments."""
        more = {"status": "paid", "created": {"gte": int(since.timestamp())}}
        return _all(RemoteInvoice, lambda page: self._client.v1.invoices.list_async(cast("Any", {**more, **page})))

    def paid_invoices_of(self, subscription_id: str) -> AsyncIterator[RemoteInvoice]:
        """Return the paid invoices of a subscription with their payments, newest first."""
        more = {"status": "paid", "subscription": subscription_id, "expand": ["data.payments"]}
        return _all(RemoteInvoice, lambda page: self._client.v1.invoices.list_async(cast("Any", {**more, **page})))

    def complete_sessions(self, since: datetime) -> AsyncIterator[RemoteSession]:
        """Return the Checkout sessions that were opened since then and completed."""
        more = {"status": "complete", "created": {"gte": int(since.timestamp())}}
        listed = self._client.v1.checkout.sessions.list_async
        return _all(RemoteSession, lambda page: listed(cast("Any", {**more, **page})))

    def refunds(self, since: datetime) -> AsyncIterator[RemoteRefund]:
        """Return the refunds that were made since then."""
        more = {"created": {"gte": int(since.timestamp())}}
        return _all(RemoteRefund, lambda page: self._client.v1.refunds.list_async(cast("Any", {**more, **page})))

    def disputes(self, since: datetime) -> AsyncIterator[RemoteDispute]:
        """Return the disputes that were opened since then."""
        more = {"created": {"gte": int(since.timestamp())}}
        return _all(RemoteDispute, lambda page: self._client.v1.disputes.list_async(cast("Any", {**more, **page})))


async def _answer(call: Awaitable[stripe.StripeObject]) -> dict[str, Any]:
    """Wait for an answer; tell errors that pass from those that stay."""
    try:
        return (await call).to_dict()
    except stripe.InvalidRequestError as error:
        raise StripeRefusedError(error.code or "", _cause(error)) from error
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.IdempotencyError, stripe.CardError) as error:
        raise StripeRefusedError(error.code or type(error).__name__, _cause(error)) from error
    except stripe.StripeError as error:
        raise StripeUnavailableError(_cause(error)) from error


async def _one(kind: type[R], call: Awaitable[stripe.StripeObject]) -> R:
    return kind.model_validate(await _answer(call))


async def _found(kind: type[R], call: Awaitable[stripe.StripeObject]) -> R | None:
    try:
        return await _one(kind, call)
    except StripeRefusedError as error:
        if error.reason == _MISSING:
            return None
        raise


async def _all(kind: type[R], page: Callable[[dict[str, Any]], Awaitable[stripe.StripeObject]]) -> AsyncIterator[R]:
    """Walk through a list of Stripe's, newest first."""
    where: dict[str, Any] = {"limit": _PAGE}
    while True:
        answer = await _answer(page(where))
        items = [kind.model_validate(item) for item in answer["data"]]
        for item in items:
            yield item
        if not answer["has_more"] or not items:
            return
        where = {**where, "starting_after": items[-1].id}


def _cause(error: stripe.StripeError) -> str:
    """Return what a log may say: kind, code and Stripe's id of the request; messages can hold what users gave."""
    return f"{type(error).__name__} {error.code or error.http_status or 'no answer'} {error.request_id or ''}".strip()
