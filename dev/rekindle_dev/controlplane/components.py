"""The command line of each component. Pure: files and ports in, arguments out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rekindle_dev.controlplane.certificates import LOOPBACK, KeyPair

SERVICE_RANGE = "10.96.0.0/16"
"""Addresses that Services get."""
_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Files:
    """What the components find on disk."""

    directory: Path
    authority: Path
    serving: KeyPair
    etcd_client: KeyPair
    kubelet_client: KeyPair
    service_account: KeyPair
    tokens: Path
    kubeconfig: Path
    address: str = LOOPBACK
    """Where the API server listens; other than loopback where pods of a real node shall reach it."""
    audit_policy: Path | None = None
    """Which requests the API server writes to `audit_log`; none when left out."""

    @property
    def audit_log(self) -> Path:
        """The audit log: one JSON object a line."""
        return self.directory / "audit.log"


def commands(files: Files, ports: Mapping[str, list[int]]) -> dict[str, list[str]]:
    """Return the arguments of every component whose ports, and whose predecessors' ports, are chosen."""
    builders = {
        "etcd": _etcd,
        "kube-apiserver": _apiserver,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
    }
    return {name: builders[name](files, ports) for name in ports}


def _etcd(files: Files, ports: Mapping[str, list[int]]) -> list[str]:
    # The second port serves health and metrics only, without a client certificate. Peers, of whom there are none, would
    # come by a socket in the working directory.
    client, health = ports["etcd"]
    return [
        f"--data-dir={files.directory / 'etcd'}",
        f"--listen-client-urls=https://127.0.0.1:{client}",
        f"--advertise-client-urls=https://127.0.0.1:{client}",
        f"--listen-metrics-urls=http://127.0.0.1:{health}",
        "--listen-peer-urls=unix://peers:1",
        f"--cert-file={files.serving.certificate}",
        f"--key-file={files.serving.key}",
        f"--trusted-ca-file={files.authority}",
        "--client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(files: Files, ports: Mapping[str, list[int]]) -> list[str]:
    return [
        f"--etcd-servers=https://127.0.0.1:{ports['etcd'][0]}",
        f"--etcd-cafile={files.authority}",
        f"--etcd-certfile={files.etcd_client.certificate}",
        f"--etcd-keyfile={files.etcd_client.key}",
        f"--bind-address={files.address}",
        f"--advertise-address={files.address}",
        f"--secure-port={ports['kube-apiserver'][0]}",
        *_serving(files),
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=Node,RBAC",
        # Some distributions have it on: who lets a child hold up its owner's deletion needs a right on the owner.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        f"--service-account-key-file={files.service_account.certificate}",
        f"--service-account-signing-key-file={files.service_account.key}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={files.kubelet_client.certificate}",
        f"--kubelet-client-key={files.kubelet_client.key}",
        # A loopback address cannot stand in the Endpoints of the service "kubernetes".
        *(["--endpoint-reconciler-type=none"] if files.address == LOOPBACK else []),
        *_audit(files),
    ]


def _audit(files: Files) -> list[str]:
    if files.audit_policy is None:
        return []
    return [f"--audit-policy-file={files.audit_policy}", f"--audit-log-path={files.audit_log}"]


def _controller_manager(files: Files, ports: Mapping[str, list[int]]) -> list[str]:
    return [
        *_client(files, ports["kube-controller-manager"][0]),
        f"--service-account-private-key-file={files.service_account.key}",
        # With the usual limit of 20 requests a second it takes seconds to make its first objects.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        f"--root-ca-file={files.authority}",
    ]


def _scheduler(files: Files, ports: Mapping[str, list[int]]) -> list[str]:
    # With the usual limit of 50 requests a second many small pods wait for it alone.
    return [*_client(files, ports["kube-scheduler"][0]), "--kube-api-qps=500", "--kube-api-burst=1000"]


def _client(files: Files, port: int) -> list[str]:
    config = files.kubeconfig
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        *_serving(files),
        "--leader-elect=false",
    ]


def _serving(files: Files) -> list[str]:
    return [f"--tls-cert-file={files.serving.certificate}", f"--tls-private-key-file={files.serving.key}"]
