"""The Node object and the Lease that tell the control plane that this node lives."""

import asyncio
import logging
import platform
import socket
import uuid
from datetime import UTC, datetime

from rekindle_dev.node.apiserver import STRATEGIC_MERGE_PATCH, UNREACHABLE, ApiError, ApiServer, Object
from rekindle_dev.node.sources import capacity
from rekindle_dev.node.states import ADDRESS, now

_PERIOD = 10.0  # seconds between signs of life, as a kubelet gives them
_FAREWELL = 3.0  # seconds
_LEASE_SECONDS = 40
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "process node has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "process node has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "process node has sufficient PID available"),
}
_log = logging.getLogger(__name__)


class Registration:
    """Keeps one node registered."""

    def __init__(self, api: ApiServer, name: str, port: int, pods: int) -> None:
        self._api, self._name, self._port, self._pods = api, name, port, pods
        self._path = f"/api/v1/nodes/{name}"
        self._version = ""
        self._since = now()

    async def register(self) -> None:
        """Create the Node, or take over the one that an earlier run left; it is Ready then.

        Raises:
            ApiError: when the API server refuses it.
        """
        self._version = (await self._api.request("GET", "/version"))["gitVersion"]
        node: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": self._metadata(),
            "status": self._status(ready=True),
        }
        try:
            await self._api.request("POST", "/api/v1/nodes", body=node)
        except ApiError as error:
            if error.code != 409:
                raise
            await self._tell(ready=True)
        await self._renew()

    async def keep(self) -> None:
        """Renew the Lease and keep the Node Ready, for ever."""
        while True:
            await asyncio.sleep(_PERIOD)
            try:
                await self._renew()
                node = await self._api.request("GET", self._path)
                if not _is_ready(node):
                    await self._tell(ready=True)
            except ApiError as error:
                _log.warning("node not kept error=%s", error)
                if error.code == 404:
                    await self._register_again()
            except UNREACHABLE as error:
                _log.warning("node not kept error=%r", error)

    async def leave(self) -> None:
        """Tell that the node stops, so that no more pods are bound to it."""
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._tell(ready=False)
        except (ApiError, *UNREACHABLE) as error:
            _log.warning("node not signed off error=%s", error)

    async def _register_again(self) -> None:
        try:
            await self.register()
        except (ApiError, *UNREACHABLE) as error:
            _log.warning("node not registered error=%s", error)

    async def _tell(self, *, ready: bool) -> None:
        body = {"status": self._status(ready=ready)}
        await self._api.request("PATCH", f"{self._path}/status", body=body, content_type=STRATEGIC_MERGE_PATCH)

    async def _renew(self) -> None:
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        try:
            path = f"{_LEASES}/{self._name}"
            await self._api.request("PATCH", path, body={"spec": spec}, content_type=STRATEGIC_MERGE_PATCH)
        except ApiError as error:
            if error.code != 404:
                raise
            node = await self._api.request("GET", self._path)
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": node["metadata"]["uid"]}
            lease: Object = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
                "spec": spec,
            }
            await self._api.request("POST", _LEASES, body=lease)

    def _metadata(self) -> Object:
        labels = {
            "kubernetes.io/hostname": self._name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _architecture(),
            "rekindle.dev/process-node": "true",
        }
        return {"name": self._name, "labels": labels}

    def _status(self, *, ready: bool) -> Object:
        times = {"lastHeartbeatTime": now(), "lastTransitionTime": self._since if ready else now()}
        if ready:
            state = {"status": "True", "reason": "KubeletReady", "message": "process node is posting ready status"}
        else:
            state = {"status": "False", "reason": "KubeletNotReady", "message": "process node has stopped"}
        pressures = [
            {"type": kind, "status": "False", "reason": reason, "message": message, **times}
            for kind, (reason, message) in _PRESSURES.items()
        ]
        return {
            "capacity": capacity(self._pods),
            "allocatable": capacity(self._pods),
            "conditions": [*pressures, {"type": "Ready", **state, **times}],
            "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": self._name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": self._info(),
        }

    def _info(self) -> Object:
        machine = uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname())
        return {
            "machineID": machine.hex,
            "systemUUID": str(machine),
            "bootID": str(uuid.uuid5(machine, self._since)),
            "kernelVersion": platform.release(),
            "osImage": "processes of this machine",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": self._version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": _architecture(),
        }


def _is_ready(node: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
