"""Payments by Stripe: checkout, portal, and what events and comparisons say of subscriptions and payments."""
