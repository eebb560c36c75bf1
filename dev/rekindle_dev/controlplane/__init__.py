"""A Kubernetes control plane of its own: etcd, API server, controller manager and scheduler, without a container.

The four programs are one Go program, built once into the user's cache; see `program/`.
"""

from rekindle_dev.controlplane.build import BuildError
from rekindle_dev.controlplane.plane import ControlPlane

__all__ = ["BuildError", "ControlPlane"]
