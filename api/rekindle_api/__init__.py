"""The companion service: takes uploads, knows users, and turns requests into custom resources through its outbox.

One package per domain (endpoints, service, repository, models, schemas). Nothing of the operator or the worker may
enter; the contract with them is rekindle_crds.
"""
