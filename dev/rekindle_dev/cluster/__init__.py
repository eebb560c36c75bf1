"""A Kubernetes of one real node: control plane, containerd, kubelet, kube-proxy, kube-router, CNI, CoreDNS. As root.

Only with real pods can be proved: images, security contexts, probes, DNS, Services, NetworkPolicies.
"""

from rekindle_dev.cluster.cluster import Cluster

__all__ = ["Cluster"]
