"""Stand-ins for what an environment brings: PostgreSQL, S3 and a token issuer, as programs of a try-out's pod."""
