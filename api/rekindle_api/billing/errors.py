"""What can go wrong with payments."""

from rekindle_api.problems import Problem


class BillingUnavailableError(Problem):
    """Nothing is sold here: no key of Stripe is configured."""

    status = 503
    code = "billing_unavailable"
    title = "Payments are not available"

    def __init__(self) -> None:
        super().__init__("Payments are not set up in this environment.")


class StripeUnavailableError(Problem):
    """Stripe does not answer, or not well; a later try may."""

    status = 503
    code = "stripe_unavailable"
    title = "Stripe is unavailable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - never changed

    def __init__(self, cause: str) -> None:
        super().__init__("The payment service does not answer. Try again in a moment.", cause)


class StripeRefusedError(Problem):
    """Stripe refused a request for what it asks: another try gets the same answer."""

    status = 502
    code = "stripe_refused"
    title = "Stripe refused the request"

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__("The payment service refused the request. Name the request id if it goes on.", cause)
        self.reason = reason
        """Stripe's code of the error."""


class NotForSaleError(Problem):
    """The tier or the pack has no price here."""

    status = 422
    code = "not_for_sale"
    title = "This is not for sale"


class AlreadySubscribedError(Problem):
    """A subscription runs: it is changed in the billing portal, not bought a second time."""

    status = 409
    code = "already_subscribed"
    title = "There is a subscription already"

    def __init__(self) -> None:
        super().__init__(
            "This account has a subscription. Change or cancel it in the billing portal (POST /api/v1/billing/portal)."
        )


class NoCustomerError(Problem):
    """Nothing was ever bought, so there is nothing to manage."""

    status = 404
    code = "no_customer"
    title = "There is nothing to manage"

    def __init__(self) -> None:
        super().__init__("This account has bought nothing yet. Begin with POST /api/v1/billing/checkout.")


class InvalidSignatureError(Problem):
    """The call to the webhook was not signed by Stripe, or too long ago."""

    status = 400
    code = "invalid_signature"
    title = "The signature is not valid"

    def __init__(self) -> None:
        super().__init__("The body is not signed with a secret of this endpoint, or was signed too long ago.")


class InvalidEventError(Problem):
    """The call to the webhook is signed and yet no event."""

    status = 400
    code = "invalid_event"
    title = "This is not an event"

    def __init__(self) -> None:
        super().__init__("The body is not an event in the form of this API version.")


class UnknownPriceError(Exception):
    """A subscription of ours has a price that no setting names; the text says which."""
