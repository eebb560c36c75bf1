"""What can happen in an account: what customers, time, banks and administrators do."""

import calendar
from datetime import UTC, datetime
from typing import Any

from rekindle_dev.stripe_fake.money import Money
from rekindle_dev.stripe_fake.store import Object, StripeError, listed

_HOUR = 3600


class Account(Money):
    """An account of Stripe in test mode."""

    def price(self, price_id: str, amount: int, *, monthly: bool) -> Object:
        """Put something on sale."""
        recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"} if monthly else None
        made = {
            "id": price_id,
            "object": "price",
            "created": self.now,
            "livemode": False,
            "active": True,
            "currency": "usd",
            "unit_amount": amount,
            "type": "recurring" if monthly else "one_time",
            "recurring": recurring,
            "metadata": {},
        }
        self.objects[price_id] = made
        return made

    def open_session(self, params: dict[str, Any]) -> Object:
        """Open a Checkout session, as the API is asked to."""
        customer = self.get("customer", params["customer"])
        price = self.get("price", params["line_items"][0]["price"])
        if customer.get("deleted"):
            raise StripeError(400, "resource_missing", f"No such customer: '{customer['id']}'")
        if (params["mode"] == "subscription") != (price["type"] == "recurring"):
            raise StripeError(400, "", f"The price {price['id']} does not fit the mode {params['mode']}.")
        expires_at = int(params.get("expires_at", self.now + 24 * _HOUR))
        if not self.now + _HOUR // 2 <= expires_at <= self.now + 24 * _HOUR:
            raise StripeError(400, "", "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.")
        session = self.add(
            "cs_test",
            "checkout.session",
            mode=params["mode"],
            status="open",
            payment_status="unpaid",
            customer=customer["id"],
            client_reference_id=params.get("client_reference_id"),
            metadata=params.get("metadata", {}),
            amount_total=price["unit_amount"],
            currency=price["currency"],
            payment_intent=None,
            subscription=None,
            invoice=None,
            success_url=params["success_url"],
            cancel_url=params.get("cancel_url"),
            expires_at=expires_at,
            _price=price["id"],
            _child=(params.get("subscription_data") or params.get("payment_intent_data") or {}).get("metadata", {}),
        )
        session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
        return session

    def expire_session(self, session_id: str) -> Object:
        """Close a Checkout session."""
        session = self.get("checkout.session", session_id)
        if session["status"] != "open":
            raise StripeError(400, "", f'Only Checkout Sessions with a status in ["open"] can be expired. {session_id}')
        session.update(status="expired", url=None)
        self.tell("checkout.session.expired", session)
        return session

    def pay(self, session_id: str, *, later: bool = False) -> Object:
        """Pay on a Checkout page; with `later` in a way that takes days (see `arrive`)."""
        session = self.get("checkout.session", session_id)
        if session["status"] != "open" or session["expires_at"] <= self.now:
            raise StripeError(400, "", "This Checkout page is closed.")
        session.update(status="complete", url=None)
        if session["mode"] == "subscription":
            self._subscribe(session)
        else:
            intent = self.intent(session["customer"], session["amount_total"], session["_child"])
            session["payment_intent"] = intent["id"]
            if not later:
                self.charge(intent)
        session["payment_status"] = "unpaid" if later else "paid"
        self.tell("checkout.session.completed", session)
        return session

    def arrive(self, session_id: str) -> Object:
        """Let the money of a session that was paid `later` arrive."""
        session = self.get("checkout.session", session_id)
        self.charge(self.get("payment_intent", session["payment_intent"]))
        session["payment_status"] = "paid"
        self.tell("checkout.session.async_payment_succeeded", session)
        return session

    def subscribe(self, customer_id: str, price_id: str, metadata: dict[str, str]) -> Object:
        """Make a subscription without a Checkout session, as an administrator can; it is paid."""
        price = self.get("price", price_id)
        subscription = self.add(
            "sub",
            "subscription",
            customer=customer_id,
            status="active",
            metadata=dict(metadata),
            cancel_at_period_end=False,
            cancel_at=None,
            ended_at=None,
            billing_cycle_anchor=self.now,
        )
        period = {"current_period_start": self.now, "current_period_end": month_after(self.now, self.now)}
        item = {
            "id": self.new_id("si"),
            "object": "subscription_item",
            "created": self.now,
            "metadata": {},
            "price": price,
            "quantity": 1,
            "subscription": subscription["id"],
            **period,
        }
        subscription["items"] = listed([item], f"/v1/subscription_items?subscription={subscription['id']}")
        self.tell("customer.subscription.created", subscription)
        invoice = self._bill(subscription, "subscription_create", [self._line(item, price, price["unit_amount"])])
        subscription["_first_invoice"] = invoice["id"]
        return subscription

    def _subscribe(self, session: Object) -> None:
        subscription = self.subscribe(session["customer"], session["_price"], session["_child"])
        session.update(subscription=subscription["id"], invoice=subscription["_first_invoice"])

    def renew(self, subscription_id: str, *, paid: bool = True) -> Object | None:
        """Let time pass to the end of the period; return the invoice of the next one, or None when it ended."""
        subscription = self.get("subscription", subscription_id)
        item = subscription["items"]["data"][0]
        self.advance_to(item["current_period_end"])
        if subscription["cancel_at_period_end"]:
            self.end(subscription_id)
            return None
        item["current_period_start"] = item["current_period_end"]
        item["current_period_end"] = month_after(item["current_period_start"], subscription["billing_cycle_anchor"])
        subscription["status"] = "active" if paid else "past_due"
        self.tell("customer.subscription.updated", subscription)
        line = self._line(item, item["price"], item["price"]["unit_amount"])
        return self._bill(subscription, "subscription_cycle", [line], paid=paid)

    def pay_invoice(self, invoice_id: str) -> None:
        """Pay an invoice whose first payment failed."""
        invoice = self.get("invoice", invoice_id)
        subscription = self.get("subscription", invoice["parent"]["subscription_details"]["subscription"])
        self._collect(invoice, subscription)
        subscription["status"] = "active"
        self.tell("customer.subscription.updated", subscription)

    def change(self, subscription_id: str, price_id: str) -> Object:
        """Change what a subscription is for, as the portal does: the rest of the period is billed at once."""
        subscription, price = self.get("subscription", subscription_id), self.get("price", price_id)
        item = subscription["items"]["data"][0]
        before, item["price"] = item["price"], price
        whole = item["current_period_end"] - item["current_period_start"]
        left = item["current_period_end"] - self.now
        lines = [
            self._line(item, before, -before["unit_amount"] * left // whole, since=self.now),
            self._line(item, price, price["unit_amount"] * left // whole, since=self.now),
        ]
        self.tell("customer.subscription.updated", subscription)
        return self._bill(subscription, "subscription_update", lines)

    def set_cancel(self, subscription_id: str, *, at_period_end: bool) -> Object:
        """Have a subscription end when its period does, or not."""
        subscription = self.get("subscription", subscription_id)
        if subscription["status"] == "canceled":
            raise StripeError(400, "", "A canceled subscription can only update its cancellation_details and metadata.")
        subscription["cancel_at_period_end"] = at_period_end
        end = subscription["items"]["data"][0]["current_period_end"]
        subscription["cancel_at"] = end if at_period_end else None
        self.tell("customer.subscription.updated", subscription)
        return subscription

    def end(self, subscription_id: str) -> Object:
        """End a subscription now."""
        subscription = self.get("subscription", subscription_id)
        if subscription["status"] == "canceled":
            raise StripeError(404, "resource_missing", f"No such subscription: '{subscription_id}'")
        subscription.update(status="canceled", ended_at=self.now)
        self.tell("customer.subscription.deleted", subscription)
        return subscription

    def delete_customer(self, customer_id: str) -> None:
        """Delete a customer, with the subscriptions."""
        for subscription in list(self.all("subscription")):
            if subscription["customer"] == customer_id and subscription["status"] != "canceled":
                self.end(subscription["id"])
        customer = self.get("customer", customer_id)
        self.tell("customer.deleted", customer)
        self.objects[customer_id] = {"id": customer_id, "object": "customer", "deleted": True}

    def _line(self, item: Object, price: Object, amount: int, since: int | None = None) -> Object:
        details = {
            "invoice_item": None,
            "proration": since is not None,
            "proration_details": {"credited_items": None},
            "subscription": item["subscription"],
            "subscription_item": item["id"],
        }
        return {
            "id": self.new_id("il"),
            "object": "line_item",
            "amount": amount,
            "currency": price["currency"],
            "livemode": False,
            "metadata": {},
            "parent": {"type": "subscription_item_details", "subscription_item_details": details},
            "period": {"start": since or item["current_period_start"], "end": item["current_period_end"]},
            "pricing": {"type": "price_details", "price_details": {"price": price["id"]}},
            "quantity": 1,
        }

    def _bill(self, subscription: Object, reason: str, lines: list[Object], *, paid: bool = True) -> Object:
        total = sum(line["amount"] for line in lines)
        details = {"subscription": subscription["id"], "metadata": dict(subscription["metadata"])}
        invoice = self.add(
            "in",
            "invoice",
            billing_reason=reason,
            customer=subscription["customer"],
            currency="usd",
            status="open",
            total=total,
            amount_due=max(0, total),
            amount_paid=0,
            metadata={},
            parent={"type": "subscription_details", "subscription_details": details},
            status_transitions={"paid_at": None},
            _payments=[],
        )
        invoice["lines"] = listed(
            [{**line, "invoice": invoice["id"]} for line in lines], f"/v1/invoices/{invoice['id']}/lines"
        )
        if paid:
            self._collect(invoice, subscription)
        else:
            self.tell("invoice.payment_failed", invoice)
        return invoice

    def _collect(self, invoice: Object, subscription: Object) -> None:
        if invoice["amount_due"]:
            intent = self.intent(subscription["customer"], invoice["amount_due"], {})
            self.charge(intent)
            payment = self.add(
                "inpay",
                "invoice_payment",
                invoice=invoice["id"],
                amount_paid=invoice["amount_due"],
                currency="usd",
                status="paid",
                payment={"type": "payment_intent", "payment_intent": intent["id"]},
            )
            invoice["_payments"].append(payment)
        invoice.update(status="paid", amount_paid=invoice["amount_due"])
        invoice["status_transitions"]["paid_at"] = self.now
        self.tell("invoice.paid", invoice)


def month_after(moment: int, anchor: int) -> int:
    """Return the end of the month that begins then: on the day of the anchor, or the last one of a shorter month."""
    start = datetime.fromtimestamp(moment, UTC)
    year, month = divmod(start.year * 12 + start.month, 12)
    day = min(datetime.fromtimestamp(anchor, UTC).day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())
