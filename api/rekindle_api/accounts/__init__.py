"""Accounts: profile, sync with Supabase, export, and deletion with a grace period."""
