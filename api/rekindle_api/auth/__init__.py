"""Who calls: verifies the access token, and finds or makes the account behind it."""
