"""Who uses the service: one row per Supabase account, made on its first call."""
