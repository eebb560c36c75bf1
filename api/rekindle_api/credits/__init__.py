"""Credits: lots with an expiry, an append-only ledger, and holds that are captured or released once."""
