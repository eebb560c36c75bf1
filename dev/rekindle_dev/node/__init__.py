"""A Kubernetes node without a kubelet: it runs the containers of pods as processes of this machine, without root.

The API server, the scheduler and the controllers around it are the real ones; this room imitates only the kubelet, and
says so where it can't. Nothing here knows of photos, jobs or any other room.
"""

from rekindle_dev.node.launch import ProcessNode

__all__ = ["ProcessNode"]
