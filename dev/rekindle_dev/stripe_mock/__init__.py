"""stripe-mock, Stripe's own server for checks: it holds every request against Stripe's OpenAPI and keeps no state."""

from rekindle_dev.stripe_mock.service import StripeMock

__all__ = ["StripeMock"]
