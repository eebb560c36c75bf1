"""A Stripe account of our own: the requests that Rekindle makes, over real HTTP, with memory, and with signed events.

It refuses what Stripe refuses: unknown parameters, a key of idempotency with other parameters, Checkout sessions that
are closed. Give it a stripe-mock, and that holds every request and every answer against Stripe's own OpenAPI.
"""

from rekindle_dev.stripe_fake.account import Account
from rekindle_dev.stripe_fake.service import StripeFake

__all__ = ["Account", "StripeFake"]
