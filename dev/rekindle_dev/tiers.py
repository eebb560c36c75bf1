"""What a subscription does to an account, without a payment: for the demo, and for tests of what tiers see."""

import psycopg


def give_tier(database_url: str, user_id: str, tier: str) -> None:
    """Give a user who has called the API before another tier.

    Args:
        database_url: where the API keeps its rows.
        user_id: the user's id at the token issuer.
        tier: free, remember, cherish or forever.

    Raises:
        LookupError: the API does not know the user.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        changed = connection.execute("UPDATE users SET tier = %s WHERE supabase_user_id = %s", (tier, user_id))
        if not changed.rowcount:
            raise LookupError(f"the API knows no user {user_id}")
