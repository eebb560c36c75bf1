"""Money: payments, refunds and disputes."""

from typing import Any

from rekindle_dev.stripe_fake.store import Object, Store, StripeError


class Money(Store):
    """What happens to payments."""

    def refund(self, payment_intent: str, amount: int | None = None, **fields: Any) -> Object:  # noqa: ANN401 - fields
        """Pay back a part of a payment, or what is left of it."""
        charge = self.get("charge", self.get("payment_intent", payment_intent)["latest_charge"])
        left = charge["amount"] - charge["amount_refunded"]
        if not left:
            raise StripeError(400, "charge_already_refunded", f"Charge {charge['id']} has already been refunded.")
        if charge["disputed"]:
            raise StripeError(400, "charge_disputed", f"Charge {charge['id']} has been charged back.")
        if (amount := left if amount is None else amount) > left:
            raise StripeError(400, "", f"Refund amount ({amount}) is greater than unrefunded amount ({left}).")
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        refund = self.add(
            "re",
            "refund",
            amount=amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=payment_intent,
            status="succeeded",
            metadata=fields.get("metadata", {}),
            reason=fields.get("reason"),
        )
        # Alone among these objects a refund does not say in which mode it is.
        del refund["livemode"]
        self.tell("refund.created", refund)
        self.tell("charge.refunded", charge)
        return refund

    def fail_refund(self, refund_id: str) -> None:
        """Let the bank send a refund back."""
        refund = self.get("refund", refund_id)
        charge = self.get("charge", refund["charge"])
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        refund["status"] = "failed"
        self.tell("refund.failed", refund)

    def dispute(self, payment_intent: str, amount: int | None = None) -> Object:
        """Let a customer's bank take a payment back for now."""
        charge = self.get("charge", self.get("payment_intent", payment_intent)["latest_charge"])
        charge["disputed"] = True
        dispute = self.add(
            "dp",
            "dispute",
            amount=charge["amount"] if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=payment_intent,
            status="needs_response",
            reason="fraudulent",
            metadata={},
        )
        self.tell("charge.dispute.created", dispute)
        self.tell("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def decide(self, dispute_id: str, *, won: bool) -> None:
        """Let the bank decide a dispute."""
        dispute = self.get("dispute", dispute_id)
        dispute["status"] = "won" if won else "lost"
        self.get("charge", dispute["charge"])["disputed"] = not won
        if won:
            self.tell("charge.dispute.funds_reinstated", dispute)
        self.tell("charge.dispute.closed", dispute)

    def intent(self, customer_id: str, amount: int, metadata: dict[str, str]) -> Object:
        """Begin a payment."""
        fields = {"customer": customer_id, "amount": amount, "currency": "usd", "metadata": metadata}
        return self.add("pi", "payment_intent", status="processing", latest_charge=None, **fields)

    def charge(self, intent: Object) -> None:
        """Let the money of a payment arrive."""
        charge = self.add(
            "ch",
            "charge",
            amount=intent["amount"],
            amount_refunded=0,
            refunded=False,
            disputed=False,
            currency=intent["currency"],
            customer=intent["customer"],
            payment_intent=intent["id"],
            metadata=dict(intent["metadata"]),
            status="succeeded",
        )
        intent.update(status="succeeded", latest_charge=charge["id"])
