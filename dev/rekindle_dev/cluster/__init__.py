"""A Kubernetes of one real node: control plane, containerd, kubelet, kube-proxy, CNI and CoreDNS. Needs root.

What can be proved only with real pods is proved on it: images, security contexts, probes, DNS, service addresses.
"""

from rekindle_dev.cluster.cluster import Cluster

__all__ = ["Cluster"]
