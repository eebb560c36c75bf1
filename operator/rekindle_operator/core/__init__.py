"""The decisions of the operator: frozen values in, a decision out.

No I/O, no clock, no Kopf and no Kubernetes client may be imported here.
"""
