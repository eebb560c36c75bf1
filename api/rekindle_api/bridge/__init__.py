"""The bridge: makes custom resources of what the outbox asks for, and writes what becomes of them into the attempts.

Its processes share nothing but PostgreSQL; any of them may be killed at any point and any number may run. Decisions on
resources and answers are pure modules; no HTTP request of a user is served here.
"""
