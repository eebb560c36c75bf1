"""The database schema, step by step. A migration must be safe while the version before it still serves."""
