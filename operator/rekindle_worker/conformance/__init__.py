"""`rekindle-worker conformance`: whether another engine keeps the contract of docs/engines.md.

It starts the engine as the operator's pods do, against a real S3, and looks at what comes out.
"""
