"""Rate limits per user, counted in PostgreSQL, so that every replica counts together."""
