"""Names, addresses and folders of a node, and the configuration files of what runs on it. Pure."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rekindle_dev.cluster.requirements import PLUGINS

NODE_NAME = "node"
NODE_USER = f"system:node:{NODE_NAME}"
NODE_GROUP = "system:nodes"
PROXY_USER = "system:kube-proxy"
DNS_USER = "system:coredns"
POLICY_USER = "system:kube-router"

# An interface of our own with an address of our own: nothing here is reachable from other machines, and no file names
# an address that the machine may lose.
INTERFACE = "rekindle0"
NODE_ADDRESS = "10.245.0.1"
POD_RANGE = "10.244.0.0/24"
NETWORK = "rekindle"
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/rekindle-pause:1"
DNS_HEALTH_PORT = 8080
DNS_READY_PORT = 8181
PROXY_HEALTH_PORT = 10256


@dataclass(frozen=True)
class Layout:
    """The folders of one node, all below `directory`."""

    directory: Path

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.directory / "containerd.sock"

    @property
    def containers(self) -> Path:
        """Where containerd keeps images and the files of containers."""
        return self.directory / "containerd"

    @property
    def running(self) -> Path:
        """Where containerd keeps what runs: mounts, process ids, network namespaces."""
        return self.directory / "run"

    @property
    def kubelet(self) -> Path:
        """Where the kubelet keeps the volumes of pods."""
        return self.directory / "kubelet"

    @property
    def network(self) -> Path:
        """Where the network's configuration is, and which addresses are given."""
        return self.directory / "network"

    @property
    def pod_logs(self) -> Path:
        """Where the kubelet keeps what containers print."""
        return self.directory / "pods"


def containerd_config(layout: Layout) -> str:
    """Return the configuration of containerd 1.6 and newer 1.x."""
    return f"""version = 2
root = "{layout.containers}"
state = "{layout.running}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{layout.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{layout.network}"
"""


def network_config(layout: Layout) -> dict[str, Any]:
    """Return the CNI configuration: a pair of interfaces a pod, every packet through the machine's own routing."""
    ranges = [[{"subnet": POD_RANGE}]]
    addresses = {"type": "host-local", "dataDir": str(layout.network / "given"), "ranges": ranges}
    routed = {"type": "ptp", "ipMasq": False, "ipam": {**addresses, "routes": [{"dst": "0.0.0.0/0"}]}}
    return {"cniVersion": "1.0.0", "name": NETWORK, "plugins": [routed]}


def kubelet_config(layout: Layout, authority: Path) -> dict[str, Any]:
    """Return the kubelet's configuration; `authority` signed the certificate that the API server calls it with."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # The kubelet shares the machine with whatever else runs on it.
        "enforceNodeAllocatable": [],
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        # No search domains of the machine's in the pods.
        "resolvConf": "",
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(layout.directory / "volume-plugins"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        # Images come from archives and from nowhere else: none is thrown away to make room.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def proxy_config(kubeconfig: Path) -> dict[str, Any]:
    """Return kube-proxy's configuration: rules for service addresses, and no change of the machine's own limits."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": NODE_NAME,
        "mode": "iptables",
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": f"{NODE_ADDRESS}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": "",
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": POD_RANGE,
        "nodePortAddresses": ["primary"],
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "200ms"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def corefile(kubeconfig: Path) -> str:
    """Return CoreDNS's configuration: it knows the names of this cluster, and no others."""
    return f"""{CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    bind {NODE_ADDRESS}
    errors
    health {NODE_ADDRESS}:{DNS_HEALTH_PORT}
    ready {NODE_ADDRESS}:{DNS_READY_PORT}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
    }}
}}
.:53 {{
    bind {NODE_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def rights() -> list[dict[str, Any]]:
    """Return the objects that let CoreDNS read the names of the cluster, and kube-router its policies."""
    reading = {
        DNS_USER: {"": ["services", "namespaces", "pods"], "discovery.k8s.io": ["endpointslices"]},
        POLICY_USER: {
            "": ["services", "namespaces", "pods", "nodes", "endpoints"],
            "discovery.k8s.io": ["endpointslices"],
            "networking.k8s.io": ["networkpolicies"],
        },
    }
    return [each for user, resources in reading.items() for each in _may_read(user, resources)]


def _may_read(user: str, resources: dict[str, list[str]]) -> list[dict[str, Any]]:
    verbs = ["get", "list", "watch"]
    rules = [{"apiGroups": [group], "resources": names, "verbs": verbs} for group, names in resources.items()]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    metadata = {"name": user}
    version = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def write(layout: Layout, authority: Path, proxy: Path, dns: Path) -> None:
    """Write the configuration of everything that runs on the node.

    Args:
        layout: where to.
        authority: certificate that the API server's own, with which it calls the kubelet, is signed with.
        proxy: kubeconfig of kube-proxy.
        dns: kubeconfig of CoreDNS.
    """
    for folder in (layout.network, layout.kubelet, layout.pod_logs):
        folder.mkdir(parents=True, exist_ok=True)
    (layout.directory / "containerd.toml").write_text(containerd_config(layout))
    (layout.network / "10-rekindle.conflist").write_text(json.dumps(network_config(layout)))
    (layout.directory / "kubelet.json").write_text(json.dumps(kubelet_config(layout, authority)))
    (layout.directory / "kube-proxy.json").write_text(json.dumps(proxy_config(proxy)))
    (layout.directory / "Corefile").write_text(corefile(dns))
