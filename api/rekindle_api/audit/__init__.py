"""The audit log: who did what, appended and never changed."""
