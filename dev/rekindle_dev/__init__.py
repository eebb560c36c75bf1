"""The embedded stack: every part that Rekindle talks to, real and on this machine, for the demo and the tests.

PostgreSQL, S3, a Kubernetes control plane, a node that runs pods as processes, and a token issuer. Nothing that is
shipped may import this room, and nothing here imitates a part that can be run for real.
"""
