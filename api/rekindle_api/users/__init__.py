"""Who uses the service: one row per Supabase account, and what Supabase says of it.

What an account may do, and what is done with what it owns, is decided elsewhere.
"""
