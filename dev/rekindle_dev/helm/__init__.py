"""Helm, built from its own source once into the user's cache, so that no machine needs one installed.

`run` is a whole helm command; `helm_binary` is the program itself, for whoever runs it in another way.
"""

from rekindle_dev.helm.binary import HelmError, helm_binary, run

__all__ = ["HelmError", "helm_binary", "run"]
