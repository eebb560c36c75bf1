"""Idempotency-Key: a request that is sent again is answered as it was, and does nothing a second time."""
